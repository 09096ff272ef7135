/** The control socket, floor 3: its language, where it is, who asks (client) and who answers (server). No knowledge of daemons. */
export * from "./client.ts";
export * from "./directory.ts";
export { LineBuffer } from "./lines.ts";
export * from "./methods.ts";
export * from "./server.ts";
export * from "./service.ts";
