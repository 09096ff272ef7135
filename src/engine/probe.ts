import type { Connection, Subflow } from "./model.ts";
import { create } from "./opening.ts";
import type { State } from "./state.ts";

/*
 * Is the path of a subflow alive? A join on the same pair of addresses tells, without harm: any answer is a sign of life, and no answer is what
 * the policy would meet if it opened the subflow anew.
 */

/** Sends a probe, where none is on its way. */
export function probe(state: State, connection: Connection, subflow: Subflow): void {
  if (!subflow.initiated || connection.subflows.some(({ probes }) => probes === subflow)) return;
  const { path, remoteId, endpoint, interfaceIndex } = subflow;
  const known = state.table.byAddress(path.local.address, 0);
  const local = { address: path.local.address, endpoint: known?.id ?? endpoint, interfaceIndex, backup: true };
  const created = create(state, connection, { local, remote: { id: remoteId, ...path.remote } }, true);
  if (!created) return;
  state.counters.probes++;
  created.probes = subflow;
  const trip = subflow.measured?.rtt ?? 0;
  created.deadline = state.now + state.timing.probeMin + 3 * trip;
}
