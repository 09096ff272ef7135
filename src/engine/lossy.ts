import type { Millis } from "../types/index.ts";
import type { Connection } from "./model.ts";
import type { Measured } from "./policy.ts";
import { isUsable } from "./probe.ts";
import { quarantine, release } from "./quarantine.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";

/*
 * A path that loses much holds up all data behind what it has lost. It becomes backup for a while, longer each time, and is free of that history
 * when it has carried enough without. Not while data pile up: then every path carries what it can, and to lose one would cost more.
 */

/** Shares of what was sent that had to be sent again: from where on it is too much, and up to where all is well; what was too much, and is in between, is still. */
const LOSSY = 0.15;
const CLEAN = 0.05;
/** Sent since the last judgement, at least. */
const SEGMENTS_MIN = 40;
const SEGMENT_BYTES = 1000;
const WINDOW_MIN: Millis = 1000;
/** What was so long ago says nothing of now. */
const WINDOW_MAX: Millis = 30_000;
/** Doubles each time, up to the longest back-off of a retry. */
const FIRST_QUARANTINE: Millis = 5000;

/** To be called after each reading. */
export function judgeLosses(state: State, connection: Connection, outstanding: number): void {
  const usable = connection.subflows.filter(isUsable);
  const isPiled = isFull(usable, outstanding);
  const judged = usable.filter((subflow) => judgeLoss(subflow, state.now));
  // What waits behind a silent path piles up too, and says nothing of what the application does.
  if (!usable.some((subflow) => isStuck(subflow, state.now))) connection.isFull = isPiled;
  if (isPiled) {
    // What such a path carries, the others would carry later.
    for (const subflow of usable) if (subflow.isLossy) release(state, connection, subflow);
    return;
  }
  for (const subflow of judged) {
    const { share = 0 } = subflow.losses ?? {};
    if (share <= CLEAN) subflow.quarantines = 0;
    const hasOther = usable.some((other) => other !== subflow && isTrusted(other));
    if (share < (subflow.quarantines > 0 ? CLEAN : LOSSY) || subflow.backup || !hasOther) continue;
    const time = Math.min(state.timing.retryMax, FIRST_QUARANTINE * 2 ** subflow.quarantines++);
    state.counters.quarantines++;
    quarantine(state, connection, subflow, state.now + time);
    subflow.isLossy = true;
  }
}

function isStuck({ measured }: Subflow, now: Millis): boolean {
  return measured?.stuckSince !== undefined && now - measured.stuckSince > 2 * measured.rtt + STUCK_MIN;
}

const STUCK_MIN: Millis = 20;

/** The application has written more than is on its way: it would have each path carry what it can. */
function isFull(usable: readonly Subflow[], outstanding: number): boolean {
  let onTheirWay = 0;
  for (const { measured } of usable) onTheirWay += (measured?.unacked ?? 0) * SEGMENT_BYTES_MAX;
  return outstanding > 2 * onTheirWay + BACKLOG_MIN;
}

const SEGMENT_BYTES_MAX = 1460;
/** Written in one go, it is not yet a transfer that fills the paths. */
const BACKLOG_MIN = 65_536;

/** The share that was lost since it was judged last. @returns whether there is another one: enough was sent since */
function judgeLoss(subflow: Subflow, now: Millis): boolean {
  const { measured, lossesFrom } = subflow;
  if (!measured) return false;
  if (!lossesFrom || now - lossesFrom.at > WINDOW_MAX) {
    subflow.lossesFrom = measured;
    subflow.losses = undefined;
    return false;
  }
  const sent = measured.bytesSent - lossesFrom.bytesSent;
  if (now - lossesFrom.at < WINDOW_MIN || sent < SEGMENTS_MIN * SEGMENT_BYTES) return false;
  subflow.lossesFrom = measured;
  subflow.losses = { share: (measured.bytesRetransmitted - lossesFrom.bytesRetransmitted) / sent, at: now };
  return true;
}

/** Data may go there: it is heard of, and is not backup. */
function isTrusted({ backup, backupByPeer, quarantinedUntil, measured }: Subflow): boolean {
  return !backup && !backupByPeer && quarantinedUntil === undefined && isMoving(measured);
}

function isMoving(measured: Measured | undefined): boolean {
  return measured !== undefined && measured.stuckSince === undefined;
}
