import { ERRNO, type Millis } from "../types/index.ts";
import { destroy, remove } from "./closing.ts";
import type { Connection, Subflow } from "./model.ts";
import { attemptOf } from "./policy.ts";
import { probe } from "./probe.ts";
import { noteEnding } from "./retry.ts";
import type { State } from "./state.ts";

/*
 * Paths that die without a word: no carrier is lost, no packet comes back. TCP would wait for its timeouts, and what is on such a subflow
 * waits with it. Closing it makes the kernel send all of that again by the others at once (__mptcp_close_ssk, MPTCP_CF_PUSH), and what is wanted
 * and missing is tried again with its back-off: the SYN that is answered is what makes a path trusted again.
 *
 * A subflow is given up only while another of the connection is heard of, so that a host that is cut off altogether closes nothing.
 */

/** Closes what is silent, and probes what may be. @returns whether something is still in doubt */
export function judgeSilence(state: State, connection: Connection): boolean {
  let inDoubt = false;
  const usable = connection.subflows.filter(isUsable);
  if (usable.length < 2) return false;
  for (const subflow of usable) {
    const since = subflow.measured?.stuckSince;
    if (since === undefined) continue;
    inDoubt = true;
    const patience = patienceOf(state, connection, subflow);
    if (state.now - since < patience) continue;
    // Not just a moment after the last word of this one: when everything is cut off, one of them is the last to be heard.
    if (usable.some((other) => other !== subflow && isHeard(other, since + patience / 2)))
      giveUp(state, connection, subflow);
  }
  const hole = connection.received?.holeSince;
  if (hole === undefined) return inDoubt;
  if (state.now - hole >= state.timing.holeMin) for (const subflow of usable) suspect(state, connection, subflow, hole);
  return true;
}

/** It has not been heard of since data began to arrive behind a hole, so what is missing may be there. */
function suspect(state: State, connection: Connection, subflow: Subflow, hole: Millis): void {
  const { measured } = subflow;
  if (measured && measured.heardAt < hole && measured.bytesReceived > 0) probe(state, connection, subflow);
}

/** Established, and not on its way out. */
export function isUsable({ state, probes }: Subflow): boolean {
  return state === "established" && probes === undefined;
}

function isHeard({ state, measured }: Subflow, since: Millis): boolean {
  return state === "established" && measured !== undefined && measured.heardAt >= since;
}

/** Two round trips and what they vary by, longer where it was a false alarm before. */
function patienceOf({ timing }: State, connection: Connection, subflow: Subflow): Millis {
  const { rtt, rttVar } = subflow.measured ?? { rtt: 0, rttVar: 0 };
  const before = attemptOf(connection.attempts, subflow.path.local.address, subflow.path.remote.address);
  return (2 * rtt + Math.max(timing.silentMin, 4 * rttVar)) * 2 ** Math.min(4, before?.falseAlarms ?? 0);
}

/**
 * The path is silent: its subflow is closed, and tried again. The peer is told by RM_ADDR where nothing else comes from that address, for its own
 * data may wait there too.
 */
export function giveUp(state: State, connection: Connection, subflow: Subflow): void {
  const { path, localId } = subflow;
  noteEnding(state, connection, subflow, { errno: ERRNO.ETIMEDOUT, silent: true });
  state.counters.silent++;
  const isAlone = !connection.subflows.some(
    (other) => other !== subflow && other.localId === localId && other.probes !== subflow,
  );
  const isAnnounced = connection.announced.some((announced) => announced.localId === localId);
  if (connection.side === "client" && isAlone && !isAnnounced)
    remove(state, connection, { localId, address: path.local.address }, [subflow]);
  else destroy(state, connection, [subflow]);
}

/**
 * A probe has come to its end.
 * @param isAnswered the peer, or a host on the way to it, has said something
 * @returns whether it has served its purpose; where what it was for is gone, it is a subflow like others
 */
export function probed(state: State, connection: Connection, subflow: Subflow, isAnswered: boolean): boolean {
  const target = subflow.probes;
  subflow.probes = undefined;
  if (!target || !isUsable(target) || !connection.subflows.includes(target)) return false;
  if (isAnswered) {
    destroy(state, connection, [subflow]);
    return true;
  }
  const heardAt = target.measured?.heardAt ?? 0;
  const others = connection.subflows.filter((other) => other !== target && isUsable(other));
  if (others.some((other) => isHeard(other, heardAt))) giveUp(state, connection, target);
  return true;
}
