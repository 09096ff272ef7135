/** Policies of somebody else's, floor 3: the process that runs one, without rights, and what it and the daemon say to each other. */
export { entryFile } from "./entry.ts";
export * from "./language.ts";
export { loadPolicy } from "./load.ts";
export { Runner } from "./runner.ts";
export { restored } from "./view.ts";
