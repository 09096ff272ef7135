import { FALSE_ALARM_FACTOR, falseAlarmsOf } from "./alarms.ts";
import type { Connection } from "./model.ts";
import { create } from "./opening.ts";
import { localPoint } from "./pairs.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";

/*
 * Is the path of a subflow alive? A join on the same pair of addresses tells, without harm: any answer is a sign of life, and no answer is what
 * the policy would meet if it opened the subflow anew. A probe is backup, so that nothing is sent on it.
 */

/** Established, and no probe. */
export function isUsable({ state, probes }: Subflow): boolean {
  return state === "established" && probes === undefined;
}

/** Sends a probe, where none is on its way. */
export function probe(state: State, connection: Connection, subflow: Subflow): void {
  if (!subflow.initiated || connection.subflows.some(({ probes }) => probes === subflow)) return;
  const { path, remoteId, endpoint, interfaceIndex } = subflow;
  if (remoteId === 0 && connection.denyJoinId0) return;
  const known = state.table.byAddress(path.local.address, 0);
  // What is no endpoint any more has an id that only this subflow knows; a join from there would need another.
  if (!known && subflow.localId !== 0) return;
  const local = known ? localPoint(known) : { address: path.local.address, endpoint, interfaceIndex, backup: true };
  const created = create(state, connection, { local, remote: { id: remoteId, ...path.remote } }, true);
  if (!created) return;
  state.counters.probes++;
  created.probes = subflow;
  created.sentAt = state.now;
  const wait = state.timing.probeMin + 3 * (subflow.measured?.rtt ?? 0);
  const patience = wait * FALSE_ALARM_FACTOR ** falseAlarmsOf(connection, subflow);
  created.deadline = state.now + patience;
  created.askedUntil = state.now + 2 * patience;
}
