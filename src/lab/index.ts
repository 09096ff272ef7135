/** Real network namespaces on the real kernel: hosts, links that can be cut, MPTCP traffic. Floor 3. */
export * from "./errors.ts";
export * from "./host.ts";
export * from "./lab.ts";
export * from "./link.ts";
export * from "./namespace.ts";
export * from "./patience.ts";
export * from "./topology.ts";
export * from "./traffic.ts";
