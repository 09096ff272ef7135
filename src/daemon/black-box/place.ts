import { basename, join } from "node:path";
import type { RuntimeFiles } from "../../control/index.ts";
import { SYSTEM_STATE, statePlace } from "../files/state-directory.ts";

/** Where a black box is, and whether it stays there when its daemon ends. */
export interface BlackBoxPlace {
  readonly directory: string;
  readonly isLasting: boolean;
}

/** Where the service's is, for who may look into it without being root. */
export function serviceBlackBox(netns: string | undefined): string {
  return join(SYSTEM_STATE, netns === undefined ? "black-box" : `black-box-${basename(netns)}`);
}

/**
 * In the state directory; beside the control socket where the namespace has no name by which another daemon would find it again: there it goes
 * with a daemon that ends well. To be asked before capabilities are dropped.
 */
export function blackBoxPlace(netns: string | undefined, { state }: RuntimeFiles): BlackBoxPlace {
  const { directory, suffix, isLasting } = statePlace(netns);
  const own = isLasting ? join(directory, `black-box${suffix}`) : state.replace(/\.json$/, ".black-box");
  return { directory: own, isLasting };
}
