/** For programs that want to see what the daemon does, floor 4: `import { Client } from "subflow/client"`. Node 20 to 26. */

export { ask, type ClientOptions, DaemonError, NoDaemonError, ProtocolError } from "../control/index.ts";
export type { ConnectionExplanation } from "../engine/index.ts";
export {
  type ControlHello,
  type Decision,
  type Happening,
  type KernelEvent,
  type KernelHappening,
  type MptcpEvent,
  SubflowError,
  type WatchedConnection,
  type WatchedSubflow,
  type WatchKind,
} from "../types/index.ts";
export * from "./changes.ts";
export * from "./client.ts";
export * from "./watching.ts";
