/** Bytes <-> values, floor 1: netlink as tables, without any socket. Pure. */
export * from "./attributes.ts";
export * from "./bytes.ts";
export * from "./errors.ts";
export * from "./event-pattern.ts";
export * from "./expected.ts";
export * from "./genetlink.ts";
export * from "./info.ts";
export * from "./message.ts";
export * from "./mptcp-pm.ts";
export * from "./nl80211.ts";
export * from "./rtnetlink.ts";
export * from "./sock-diag.ts";
