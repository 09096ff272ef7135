/** The daemon, floor 4: engine and kernel brought together, with configuration, control socket and logs. */
export * from "./capabilities.ts";
export * from "./driver.ts";
export * from "./dry-run.ts";
export * from "./kernel-port.ts";
export * from "./run.ts";
export * from "./translate.ts";
