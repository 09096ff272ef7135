import { type Millis, unmap } from "../types/index.ts";
import type { Connection } from "./model.ts";
import { isUsable, probe } from "./probe.ts";
import type { State } from "./state.ts";

/*
 * A path may die while nothing is on its way: then nothing tells until the next data are lost there. So of a connection that was used of late
 * each path is asked now and then, unless another connection between the same addresses was heard of.
 */

/** What was not used for so long can wait until it is: radios are not to be kept awake for it. */
const USED_WITHIN: Millis = 300_000;
/** Probes what has not been heard of for long. Backup paths and metered ones are left alone: they may cost money. */
export function probeIdle(state: State, connection: Connection): void {
  const { now, timing, paths } = state;
  const usable = connection.subflows.filter((subflow) => isUsable(subflow) && subflow.measured);
  const isUsed = usable.some(({ measured }) => now - (measured?.usedAt ?? 0) < USED_WITHIN);
  for (const subflow of usable) {
    const heardAt = paths.hear(subflow, subflow.measured?.heardAt ?? 0);
    const isSpared = subflow.backup || subflow.backupByPeer || state.metered.has(unmap(subflow.path.local.address));
    const isDue = now - heardAt >= timing.unheardMax && isUsed && !isSpared;
    if (isDue && subflow.initiated && usable.length > 1 && paths.take(now)) {
      // Who else has subflows there need not ask as well.
      paths.hear(subflow, now);
      probe(state, connection, subflow);
    }
  }
}
