import type { Connection, Subflow } from "./model.ts";
import { create } from "./opening.ts";
import { localPoint } from "./pairs.ts";
import { attemptOf } from "./policy.ts";
import { falseAlarms } from "./retry.ts";
import type { State } from "./state.ts";

/*
 * Is the path of a subflow alive? A join on the same pair of addresses tells, without harm: any answer is a sign of life, and no answer is what
 * the policy would meet if it opened the subflow anew. A probe is backup, so that nothing is sent on it.
 */

/** Established, and no probe. */
export function isUsable({ state, probes }: Subflow): boolean {
  return state === "established" && probes === undefined;
}

/** How often its path was thought silent and was not, up to a bound. */
export function falseAlarmsOf({ attempts }: Connection, subflow: Subflow): number {
  const { local, remote } = subflow.path;
  return Math.min(FALSE_ALARMS_MAX, falseAlarms(subflow, attemptOf(attempts, local.address, remote.address)));
}

/** Patience does not grow beyond the retransmission timeouts of TCP: then nothing would be gained. */
const FALSE_ALARMS_MAX = 4;

/** Sends a probe, where none is on its way. */
export function probe(state: State, connection: Connection, subflow: Subflow): void {
  if (!subflow.initiated || connection.subflows.some(({ probes }) => probes === subflow)) return;
  const { path, remoteId, endpoint, interfaceIndex } = subflow;
  if (remoteId === 0 && connection.denyJoinId0) return;
  const known = state.table.byAddress(path.local.address, 0);
  const local = known ? localPoint(known) : { address: path.local.address, endpoint, interfaceIndex, backup: true };
  const created = create(state, connection, { local, remote: { id: remoteId, ...path.remote } }, true);
  if (!created) return;
  state.counters.probes++;
  created.probes = subflow;
  created.sentAt = state.now;
  const wait = state.timing.probeMin + 3 * (subflow.measured?.rtt ?? 0);
  created.deadline = state.now + wait * 2 ** falseAlarmsOf(connection, subflow);
}
