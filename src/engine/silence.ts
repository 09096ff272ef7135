import { ERRNO, type Millis, sameAddress } from "../types/index.ts";
import { FALSE_ALARM_FACTOR, falseAlarmsOf } from "./alarms.ts";
import { destroy, isHeld, remove } from "./closing.ts";
import type { Asking, Connection } from "./model.ts";
import { isUsable, probe } from "./probe.ts";
import { quarantine, release } from "./quarantine.ts";
import { noteEnding, rest } from "./retry.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";

/*
 * Paths that die without a word: no carrier is lost, no packet comes back. TCP would wait for its timeouts, and what is on such a subflow
 * waits with it. Closing it makes the kernel send all of that again by the others at once (__mptcp_close_ssk, MPTCP_CF_PUSH), and what is wanted
 * and missing is tried again with its back-off: the SYN that is answered is what makes a path trusted again.
 *
 * A subflow is given up only while another of the connection is heard of, so that a host that is cut off altogether closes nothing.
 */

/** Closes what is silent, and probes what may be. @returns whether something is still in doubt */
export function judgeSilence(state: State, connection: Connection, isQuiet: boolean): boolean {
  const usable = connection.subflows.filter(isUsable);
  // With nothing to go on by there is nothing to judge; but a policy may want to open something.
  if (usable.length < 2)
    return (
      connection.treatment.measures !== undefined && usable.some(({ measured }) => measured?.stuckSince !== undefined)
    );
  for (const subflow of usable) if (isHeard(subflow, subflow.doubtedAt)) trust(state, connection, subflow);
  const isStuck = judgeStuck(state, connection, usable);
  const hole = connection.received?.holeSince;
  if (hole !== undefined && state.now - hole >= state.timing.holeMin) {
    for (const subflow of usable) if (isSuspect(subflow, hole)) question(state, connection, subflow);
  }
  for (const subflow of usable) if (isLeft(subflow, usable)) question(state, connection, subflow);
  const mayBeAsked = judgeStop(state, connection, usable, isQuiet);
  const isAsked = connection.subflows.some(({ probes }) => probes !== undefined);
  return isStuck || hole !== undefined || mayBeAsked || isAsked;
}

/** Data are on their way for too long. @returns whether some are on their way for a while */
function judgeStuck(state: State, connection: Connection, usable: readonly Subflow[]): boolean {
  let isStuck = false;
  for (const subflow of usable) {
    const since = subflow.measured?.stuckSince;
    if (since === undefined || subflow.state === "closing") continue;
    isStuck = true;
    const patience = patienceOf(state, connection, subflow, since);
    if (state.now - since < patience) continue;
    // Not just a moment after the last word of this one: when everything is cut off, one of them is the last to be heard.
    const others = usable.filter((other) => other !== subflow);
    if (!others.some((other) => isHeard(other, since + patience / 2))) continue;
    if (connection.side === "client" || subflow.initiated) giveUp(state, connection, subflow);
    else shun(state, connection, subflow);
  }
  return isStuck;
}

/**
 * Asks its path, and those that share an end with it, all at once: the peer is told of a dead address (RM_ADDR) when the last subflow from there is given up,
 * and sends by the next of them until then. Not those at rest from other addresses, whose radios may cost money; this one's is awake.
 */
function question(state: State, connection: Connection, subflow: Subflow): void {
  probe(state, connection, subflow);
  for (const other of kinOf(state, connection, subflow)) {
    const isBeside = sameAddress(other.path.local.address, subflow.path.local.address);
    if (isBeside || hasReceived(other, state.now - QUIET_MAX)) probe(state, connection, other);
  }
}

/** What shares an end with it, and has not been heard of since. */
function kinOf({ timing }: State, { subflows }: Connection, { path, measured }: Subflow): readonly Subflow[] {
  // When both become silent at once, one of them is the last to be heard.
  const since = (measured?.heardAt ?? 0) + timing.silentMin / 2;
  return subflows.filter((other) => {
    const { local, remote } = other.path;
    const isKin = sameAddress(local.address, path.local.address) || sameAddress(remote.address, path.remote.address);
    return isKin && other.path !== path && isUsable(other) && !isHeard(other, since);
  });
}

/** Data came by it until they began to arrive behind a hole, and it was not heard of since: what is missing may be there. */
function isSuspect(subflow: Subflow, hole: Millis): boolean {
  return hasReceived(subflow, hole - QUIET_MAX) && (subflow.measured?.heardAt ?? 0) < hole;
}

function hasReceived({ measured }: Subflow, since: Millis): boolean {
  return measured !== undefined && measured.bytesReceived > 0 && measured.receivedAt >= since;
}

function isHeard({ state, measured }: Subflow, since: Millis | undefined): boolean {
  return state === "established" && since !== undefined && measured !== undefined && measured.heardAt >= since;
}

/**
 * What was lost at the end of a burst is sent again after two round trips, and heard of after three (tcp_schedule_loss_probe): so long, and what
 * round trips vary by. Longer where it was a false alarm before, and where others hear of both of its ends: then it is rather full than dead.
 */
function patienceOf({ timing }: State, connection: Connection, subflow: Subflow, since: Millis): Millis {
  const { rtt, rttVar, rto } = subflow.measured ?? { rtt: 0, rttVar: 0, rto: 0 };
  const base = 3 * rtt + Math.max(timing.silentMin, 4 * rttVar);
  // To close a subflow of a transfer that fills its paths is dear: all that waits is sent again. So TCP has its own timeout first.
  const once = connection.isFull ? base + rto : base;
  const { local, remote } = subflow.path;
  const heard = connection.subflows.filter((other) => other !== subflow && isHeard(other, since + once / 2));
  const isHeardThere =
    heard.some(({ path }) => sameAddress(path.local.address, local.address)) &&
    heard.some(({ path }) => sameAddress(path.remote.address, remote.address));
  const alarms = falseAlarmsOf(connection, subflow) + Number(isHeardThere);
  return once * FALSE_ALARM_FACTOR ** alarms;
}

/**
 * The peer sends by a backup, which it does where it has given this one up, and this one says nothing any more: in order, and without a pause, so
 * that nothing else tells of it.
 */
function isLeft({ backup, backupByPeer, measured }: Subflow, usable: readonly Subflow[]): boolean {
  if (backup || backupByPeer || measured === undefined || measured.bytesReceived === 0) return false;
  return usable.some(
    (other) =>
      (other.backup || other.backupByPeer) &&
      (other.measured?.receivedAt ?? 0) > measured.heardAt + LEFT_MIN &&
      hasReceived(other, measured.at - QUIET_MAX),
  );
}

/**
 * Nothing comes in any more, and nobody can say whether something should: one question to each path tells. Not at each pause: after a question
 * that was for nothing only longer ones are asked about, and those ever more seldom too.
 * @returns whether this pause is asked about when it has become long enough
 */
function judgeStop(state: State, connection: Connection, usable: readonly Subflow[], isQuiet: boolean): boolean {
  const { now, timing } = state;
  const pause = pauseOf(usable, now);
  connection.isPausing = pause !== undefined && (isQuiet || connection.isPausing);
  if (pause === undefined || !connection.isPausing || connection.side === "server") return false;
  const { askSoon, askLate } = connection;
  if (isQuiet && now >= askSoon.againAt) putOff(askSoon, timing.askMin, state);
  else if (now < askLate.againAt) return false;
  else if (pause < timing.pauseMin) return true;
  else putOff(askLate, timing.askLateMin, state);
  connection.isPausing = false;
  for (const subflow of usable) probe(state, connection, subflow);
  return false;
}

/** Data came in until so long ago; undefined: they still do, or have not for long. */
function pauseOf(usable: readonly Subflow[], now: Millis): Millis | undefined {
  const last = Math.max(
    ...usable.map(({ measured }) => (measured && measured.bytesReceived > 0 ? measured.receivedAt : 0)),
  );
  return last < now - QUIET_MIN && last > now - QUIET_MAX ? now - last : undefined;
}

const QUIET_MIN: Millis = 40;
const QUIET_MAX: Millis = 1000;
/** What was on its way when the peer turned to the backup has arrived by then. */
const LEFT_MIN: Millis = 1000;

/** Not all the time, and more seldom the more often the answer was that all is well. */
function putOff(asking: Asking, pace: Millis, { now, timing }: State): void {
  asking.pace = Math.min(timing.retryMax, Math.max(pace, 2 * asking.pace));
  asking.againAt = now + asking.pace;
}

/**
 * The path is silent: its subflow is closed, and tried again. The peer is told by RM_ADDR where nothing else comes from that address, for its own
 * data may wait there too.
 */
function giveUp(state: State, connection: Connection, subflow: Subflow): void {
  const { path, localId } = subflow;
  noteEnding(state, connection, subflow, { errno: ERRNO.ETIMEDOUT, silent: true });
  state.counters.silent++;
  connection.askSoon.pace = 0;
  connection.askLate.pace = 0;
  doubtKin(state, connection, subflow);
  const isAlone = !connection.subflows.some((other) => {
    const isOfId = other.localId === localId;
    const isFrom = sameAddress(other.path.local.address, path.local.address);
    // Where the kernel has mixed up ids, an RM_ADDR would take more than is meant.
    return (
      other !== subflow && (isOfId || isFrom) && (isUsable(other) || isHeld(connection, other) || isOfId !== isFrom)
    );
  });
  const isAnnounced = connection.announced.some(
    (announced) => announced.localId === localId || sameAddress(announced.address, path.local.address),
  );
  if (connection.side === "client" && subflow.initiated && isAlone && !isAnnounced) {
    rest(state, connection, path.local.address);
    remove(state, connection, { localId, address: path.local.address }, [subflow]);
  } else destroy(state, connection, [subflow]);
}

/**
 * Only the peer could open it again, and not every peer does: it stays for when its path comes back, as without us, and nothing is sent there
 * while another works. A peer that opens it anew gets its place ({@link Subflow.doubtedAt}).
 */
function shun(state: State, connection: Connection, subflow: Subflow): void {
  if (subflow.quarantinedUntil !== undefined) return;
  state.counters.silent++;
  subflow.doubtedAt = state.now;
  doubtKin(state, connection, subflow);
  quarantine(state, connection, subflow, state.now + state.timing.unheardMax);
}

/** What shares an end with a silent path is likely to be as dead: nothing is to be sent there for now. */
function doubtKin(state: State, connection: Connection, subflow: Subflow): void {
  for (const other of kinOf(state, connection, subflow)) {
    other.doubtedAt = state.now;
    quarantine(state, connection, other, state.now + state.timing.unheardMax);
    probe(state, connection, other);
  }
}

function trust(state: State, connection: Connection, subflow: Subflow): void {
  subflow.doubtedAt = undefined;
  release(state, connection, subflow);
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
    if (target.measured) target.measured = { ...target.measured, heardAt: state.now };
    trust(state, connection, target);
    destroy(state, connection, [subflow]);
    return true;
  }
  // Data may have come in while the probe was on its way.
  const since = target.measured?.heardAt ?? 0;
  const others = connection.subflows.filter((other) => other !== target && isUsable(other));
  if (since < subflow.sentAt && others.some((other) => isHeard(other, subflow.sentAt)))
    giveUp(state, connection, target);
  else destroy(state, connection, [subflow]);
  return true;
}
