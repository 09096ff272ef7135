/** The configuration, floor 3: its schema, its files with faults told as file:line:column, whose word counts, what each room takes of it. */
export { blackBoxSize } from "./black-box.ts";
export * from "./choice.ts";
export * from "./error.ts";
export * from "./load.ts";
export * from "./nearest.ts";
export * from "./policy-schema.ts";
export { type CalendarPeriod, type Moment, periodAt } from "./quota.ts";
export * from "./rooms.ts";
export { toldRules } from "./rule-words.ts";
export * from "./rules.ts";
export * from "./schema.ts";
export { delayOf } from "./shared-schema.ts";
export { userId } from "./users.ts";
