/** Words of the domain, floor 0: what every room says, and nothing that any room does. Pure. */
export * from "./address.ts";
export * from "./blank.ts";
export * from "./carried.ts";
export * from "./control.ts";
export * from "./errno.ts";
export * from "./errors.ts";
export * from "./history.ts";
export * from "./mptcp.ts";
export * from "./pattern.ts";
export * from "./prefix.ts";
export * from "./watching.ts";
