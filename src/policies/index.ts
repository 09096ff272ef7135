/** What to do, floor 2: one file a policy, all of them named here. Pure. */
import type { Policy } from "../engine/index.ts";
import { resilient } from "./resilient.ts";
import { standard } from "./standard/standard.ts";

/** Every built-in policy; the first is the default. */
export const policies: readonly [Policy, ...Policy[]] = [standard, resilient];

export { resilient, standard };
