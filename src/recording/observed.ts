import type { ConnectionSnapshot, EngineEvent } from "../engine/index.ts";
import { BLANK_CONNECTION, BLANK_SUBFLOW, type Connection, type SubflowInfo } from "../types/index.ts";

/** A connection that was there before, as a look of the kernel's would have shown it. */
export function observedOf(shown: ConnectionSnapshot): EngineEvent {
  const { token, side, initial, established, owned, announced } = shown;
  const subflows = shown.subflows
    .filter(({ state }) => state === "established" || state === "closing")
    .map((subflow): SubflowInfo => {
      const { path, localId, remoteId, join, initiated, backup, backupByPeer } = subflow;
      const known = { path, localId, remoteId, join, initiated, backupLocal: backup, backupRemote: backupByPeer };
      return { ...BLANK_SUBFLOW, ...known, state: "established", fullyEstablished: established };
    });
  const localAddresses = announced.map(({ id, address, port }) => ({ id, address, port, flags: 1, interfaceIndex: 0 }));
  const connection: Connection = {
    ...BLANK_CONNECTION,
    extraSubflows: 0,
    subflowsTotal: undefined,
    addAddrSignaled: 0,
    token,
    side,
    path: initial,
    state: "established",
    pathManager: owned ? "userspace" : "kernel",
    localAddresses,
    subflows,
  };
  return { type: "connection.observed", token, observed: { connection, localAddresses } };
}
