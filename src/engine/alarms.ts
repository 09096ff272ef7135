import { type Millis, sameAddress } from "../types/index.ts";
import type { Connection } from "./model.ts";
import { type AttemptView, attemptOf } from "./policy.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";

/*
 * False alarms: a path that was taken for silent and was not, as a radio is deaf for a moment when it looks for other cells. To close a subflow
 * for that costs more than it gains, so each false alarm makes for more patience.
 */

/** More patience, by each. */
export const FALSE_ALARM_FACTOR = 4;
/** Then patience is beyond the retransmission timeouts of TCP: with more, nothing would be gained. */
const FALSE_ALARMS_MAX = 2;
/** A false alarm is forgotten after so long. */
const FORGOTTEN_AFTER: Millis = 600_000;
/** The first attempt after the shortest back-off. */
const ANSWERED_AT_ONCE: Millis = 1000;

/** A subflow was established: one that was lost may be there again, and what was closed for its silence a moment ago may not have been silent. */
export function answered(state: State, connection: Connection, subflow: Subflow): void {
  if (connection.attempts.length === 0) return;
  const { local, remote } = subflow.path;
  const lost = attemptOf(connection.attempts, local.address, remote.address);
  if (lost?.lostAt !== undefined) state.recoveries.note(state.now - lost.lostAt);
  connection.attempts = connection.attempts.map((attempt) => {
    const found = attempt === lost ? { ...attempt, lostAt: undefined } : attempt;
    return found.silent && state.now - found.at < ANSWERED_AT_ONCE && isRefuted(connection, found, subflow)
      ? { ...found, silent: false, failures: 0, retryAt: state.now, falseAlarms: found.falseAlarms + 1 }
      : found;
  });
}

/** The new subflow is between the two, or from one of them while another is heard of at the other. */
function isRefuted({ subflows }: Connection, { local, remote, at }: AttemptView, { path }: Subflow): boolean {
  const isFrom = sameAddress(path.local.address, local);
  const isTo = sameAddress(path.remote.address, remote);
  if (isFrom && isTo) return true;
  const isHeard = ({ measured }: Subflow): boolean => measured !== undefined && measured.heardAt >= at - JUST_BEFORE;
  if (isFrom) return subflows.some((other) => sameAddress(other.path.remote.address, remote) && isHeard(other));
  return isTo && subflows.some((other) => sameAddress(other.path.local.address, local) && isHeard(other));
}

/** Of a subflow that carries data, the last look heard something so lately. */
const JUST_BEFORE: Millis = 50;

/** How often that was so of late, up to a bound, of a path that shares an end with this one: a deaf radio is deaf for all of them. */
export function falseAlarmsOf({ attempts, now }: Connection, { path }: Subflow): number {
  let most = 0;
  for (const { local, remote, at, falseAlarms } of attempts) {
    if (falseAlarms <= most || now - at > FORGOTTEN_AFTER) continue;
    if (sameAddress(local, path.local.address) || sameAddress(remote, path.remote.address)) most = falseAlarms;
  }
  return Math.min(FALSE_ALARMS_MAX, most);
}
