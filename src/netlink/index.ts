/** Netlink sockets, floor 2: typed requests, dumps and subscriptions, one network namespace each. */
export * from "./client.ts";
export { listConnections, listListeners, listPlainTcp, listSockets } from "./connections.ts";
export * from "./errors.ts";
export * from "./event-stream.ts";
export { type FallenConnection, listFallen } from "./fallen.ts";
export * from "./features.ts";
export { releaseCleanPages } from "./memory.ts";
export * from "./mptcp-pm.ts";
export * from "./native.ts";
export * from "./netns.ts";
export * from "./netstat.ts";
export * from "./owners.ts";
export * from "./prepared-answers.ts";
export * from "./proc.ts";
export { type ConnectionLook, ConnectionReader, LossReader, type Readable, unlessRefused } from "./readings.ts";
export * from "./rtnl.ts";
export * from "./stream-sockets.ts";
export * from "./subscription.ts";
