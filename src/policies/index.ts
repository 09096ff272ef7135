/** What to do, floor 2: one file a policy, all of them named here. Pure. */
import type { Policy } from "../engine/index.ts";
import { activeBackup } from "./active-backup.ts";
import { onePerInterface } from "./one-per-interface.ts";
import { refresh } from "./refresh.ts";
import { resilient } from "./resilient.ts";
import { standard } from "./standard/standard.ts";

/** Every built-in policy; the first is the default. */
export const policies: readonly [Policy, ...Policy[]] = [
  standard,
  resilient,
  onePerInterface,
  activeBackup as Policy,
  refresh as Policy,
];

export { activeBackup, onePerInterface, refresh, resilient, standard };
