/** Other people's programs, floor 3: what a file is, how it is made to use MPTCP, what running ones use. Knows no daemon. */
export * from "./apps.ts";
export * from "./elf.ts";
export * from "./environment.ts";
export * from "./kernel-rules.ts";
export { type Process, processesWith, unitOf } from "./processes.ts";
export * from "./program.ts";
export { ruleName, ruleOf, type SocketRule, socketProgram } from "./socket-rule.ts";
export * from "./units.ts";
