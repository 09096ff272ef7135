/** The facts of a host, floor 3: read once, or followed as they change. The one reader for the daemon, the doctor and the commands. */
export * from "./capacity.ts";
export * from "./network-model.ts";
export * from "./pace.ts";
export * from "./processes.ts";
export * from "./reader.ts";
export * from "./rivals.ts";
export { Sysctls } from "./sysctls.ts";
export { connectionNames } from "./sysfs.ts";
