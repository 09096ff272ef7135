/** The configuration file: schema, loading, faults with file:line:column. */
export * from "./error.ts";
export * from "./load.ts";
export * from "./nearest.ts";
export * from "./schema.ts";
