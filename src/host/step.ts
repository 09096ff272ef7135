import type { HostChange } from "./actions.ts";
import type { RestoreFact } from "./fact.ts";
import type { HostFacts } from "./facts.ts";
import type { Renewal } from "./recovery.ts";

/** What the engine waits for within a turn; a turn that came to no end is forgotten by the next, which begins with `idle`. */
export type Step =
  | { readonly type: "idle" }
  /** For the network, and the table where it is doubtful, to plan. */
  | { readonly type: "facts" }
  /** For the connections, to judge what is wanted. */
  | { readonly type: "connections"; readonly facts: HostFacts; readonly wanted: readonly HostChange[] }
  /** For how changes were taken: those of the plan, then the renewals. */
  | { readonly type: "done"; readonly planned: readonly HostChange[]; readonly renewals: readonly Renewal[] }
  /** For the table as it is left. */
  | { readonly type: "left"; readonly limitsFailed: boolean; readonly wroteSysctl: boolean }
  /** The same of the end. */
  | { readonly type: "restore.facts"; readonly fact: RestoreFact }
  | { readonly type: "restore.done"; readonly fact: RestoreFact; readonly changes: readonly HostChange[] };
