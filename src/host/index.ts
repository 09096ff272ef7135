/** The host plan, floor 2: what endpoints, limits, routes and sysctls a host should have, and what to change. Pure. */
export * from "./actions.ts";
export * from "./config.ts";
export * from "./endpoints.ts";
export * from "./facts.ts";
export * from "./idle.ts";
export * from "./kind.ts";
export * from "./main-routes.ts";
export * from "./plan.ts";
export * from "./reconcile.ts";
export * from "./roles.ts";
export * from "./routing.ts";
export * from "./survival.ts";
export * from "./sysctls.ts";
export * from "./text.ts";
export * from "./usable.ts";
