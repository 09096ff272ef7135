/** The doctor, floor 3: facts of a host in, findings with their fixes out. Pure. */
export * from "./diagnose.ts";
export * from "./facts.ts";
export * from "./finding.ts";
export * from "./firewall.ts";
export * from "./mask.ts";
export * from "./path.ts";
export * from "./program.ts";
export * from "./standing.ts";
export { pathAddresses } from "./view.ts";
