import { type Millis, unmap } from "../types/index.ts";
import type { Connection } from "./model.ts";
import { isUsable, probe } from "./probe.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";

/*
 * A path may die while nothing is on its way: then nothing tells until the next data are lost there. So of a connection that was used of late
 * each path is asked now and then, unless another connection between the same addresses was heard of.
 */

/** What was not used for so long can wait until it is: radios are not to be kept awake for it. */
const USED_WITHIN: Millis = 300_000;

/** Probes what has not been heard of for long. */
export function probeIdle(state: State, connection: Connection): void {
  const { now, timing, paths } = state;
  const usable = connection.subflows.filter((subflow) => isUsable(subflow) && subflow.measured);
  const isUsed = usable.some(({ measured }) => now - (measured?.usedAt ?? 0) < USED_WITHIN);
  for (const subflow of usable) {
    const heardAt = paths.hear(subflow, subflow.measured?.heardAt ?? 0);
    const isDue = now - heardAt >= timing.unheardMax && isUsed && !isSpared(state, subflow);
    if (isDue && subflow.initiated && usable.length > 1 && paths.take(now)) {
      // Who else has subflows there need not ask as well.
      paths.hear(subflow, now);
      probe(state, connection, subflow);
    }
  }
}

/** Backup paths are for when they are needed, and may cost money; metered ones do. */
function isSpared({ metered }: State, { backup, backupByPeer, path }: Subflow): boolean {
  return backup || backupByPeer || metered.has(unmap(path.local.address));
}
