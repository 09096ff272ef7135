/** The decisions, floor 1: events in, actions out, nothing else. Pure. */
export type * from "./actions.ts";
export { CONFIG_REQUEST } from "./admin.ts";
export type { RemoteAddressRules } from "./admission.ts";
export * from "./bounds.ts";
export type * from "./commands.ts";
export { Engine, type EngineOptions } from "./engine.ts";
export type * from "./events.ts";
export type { Foreseen, Particular } from "./foresee.ts";
export * from "./parameters.ts";
export * from "./policy.ts";
export * from "./pump.ts";
export type * from "./remote/plain.ts";
export { explainRules, type RuleReason } from "./rules/explain.ts";
export type * from "./rules/rule.ts";
export { RuleSet } from "./rules/rule-set.ts";
export { type Unreachable, unreachableRules } from "./rules/unreachable.ts";
export type * from "./snapshot.ts";
export { checkGiven } from "./treat.ts";
