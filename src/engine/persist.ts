import type { Endpoint } from "../types/index.ts";
import type { Connection } from "./model.ts";
import { announce, create } from "./opening.ts";
import { whyBlocked } from "./pairs.ts";
import { attemptOf, type ConnectionPlan, isSignal, type OpenPair } from "./policy.ts";
import { isFull, retryAtOf } from "./retry.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";
import { opensAtOf } from "./waiting.ts";

/*
 * What a policy wishes persistently. Wishes beyond the limits wait for room, those that failed for their back-off, announcements for
 * their turn; whatever happens next, the policy is asked again and wishes it again, or no more.
 */

/** Brings a plan about as far as is possible now. @returns the subflows that were asked for */
export function carryOut(state: State, connection: Connection, plan: ConnectionPlan): readonly Subflow[] {
  announceNext(state, connection, plan);
  const opened: Subflow[] = [];
  const opensAt = opensAtOf(connection);
  if (opensAt > state.now) {
    if (!plan.subflows.some(({ open }) => open)) return opened;
    connection.wakeAt = Math.min(connection.wakeAt, opensAt);
    if (connection.treatment.delay.bytes !== undefined) state.waiting.add(connection);
    return opened;
  }
  let waiting = 0;
  for (const { open, backup } of plan.subflows) {
    if (!open || whyNotNow(connection, open, waiting) !== "") continue;
    const retryAt = retryAtOf(connection, open.local.address, open.remote.address);
    if (retryAt > state.now) {
      // Its place is kept: what is wanted less must not take it meanwhile.
      waiting++;
      connection.wakeAt = Math.min(connection.wakeAt, retryAt);
      continue;
    }
    const subflow = create(state, connection, open, backup);
    if (!subflow) break;
    opened.push(subflow);
  }
  return opened;
}

/** Why a subflow that is wanted cannot be opened at this time, whatever came of earlier attempts; "": it can. */
export function whyNotNow(connection: Connection, pair: OpenPair, waiting = 0): string {
  const limit = whichLimit(connection, pair, waiting);
  if (limit !== "") return limit;
  if (isFull(connection) && !attemptOf(connection.attempts, pair.local.address, pair.remote.address))
    return "too many pairs fail already";
  return whyBlocked(connection, pair);
}

/** The limit that leaves no room for one more subflow there; "": none. `waiting`: places that are kept for others. */
export function whichLimit(connection: Connection, pair: OpenPair, waiting = 0): string {
  const { subflows, addAddrAccepted } = connection.limits;
  if (connection.extraSubflows + waiting >= subflows) {
    return `limit reached: ${connection.extraSubflows} of ${subflows} additional subflows`;
  }
  const { id } = pair.remote;
  if (id > 0) {
    const answered = new Set<number>();
    for (const subflow of connection.subflows)
      if (subflow.initiated && subflow.remoteId > 0) answered.add(subflow.remoteId);
    if (!answered.has(id) && answered.size >= addAddrAccepted) {
      return `limit reached: ${answered.size} of ${addAddrAccepted} announcements accepted`;
    }
  }
  return "";
}

/** Every endpoint that the peer should know. */
export function toBeAnnounced(connection: Connection, { announcements }: ConnectionPlan): readonly Endpoint[] {
  return announcements ?? connection.endpoints.filter(isSignal);
}

/** One ADD_ADDR at a time: the peer has room for one, and the next goes out when this one has had its round trip. */
function announceNext(state: State, connection: Connection, plan: ConnectionPlan): void {
  const wanted = toBeAnnounced(connection, plan);
  const missing = wanted.filter(
    (endpoint) => !connection.isInitialStill(endpoint) && !connection.isAnnounced(endpoint.id),
  );
  const [next] = missing;
  if (!next) return;
  const isFree = connection.announceAt <= state.now;
  if (isFree) announce(state, connection, next);
  if (!isFree || missing.length > 1) connection.hasMoreToAnnounce = true;
}
