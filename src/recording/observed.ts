import type { ConnectionSnapshot, EngineEvent } from "../engine/index.ts";
import type { Connection, SubflowInfo } from "../types/index.ts";

/** What was not written down of a connection, as nothing of it. */
const NOTHING = {
  fallback: false,
  remoteKeyReceived: true,
  checksum: false,
  extraSubflows: 0,
  subflowsTotal: undefined,
  addAddrSignaled: 0,
  addAddrAccepted: 0,
  bytesSent: 0,
  bytesReceived: 0,
  bytesAcked: 0,
  bytesRetransmitted: 0,
  retransmits: 0,
  uid: 0,
  inode: 0,
  cgroup: undefined,
} as const satisfies Partial<Connection>;

const NOTHING_OF_SUBFLOW = {
  ulpFlags: 0,
  interfaceIndex: 0,
  rtt: 0,
  rttVar: 0,
  rto: 0,
  cwnd: 0,
  mss: 0,
  lost: 0,
  retransmits: 0,
  bytesSent: 0,
  bytesAcked: 0,
  bytesReceived: 0,
  bytesRetransmitted: 0,
  uid: 0,
  inode: 0,
} as const satisfies Partial<SubflowInfo>;

/** A connection that was there before, as a look of the kernel's would have shown it. */
export function observedOf(shown: ConnectionSnapshot): EngineEvent {
  const { token, side, initial, established, owned, announced } = shown;
  const subflows = shown.subflows
    .filter(({ state }) => state === "established" || state === "closing")
    .map((subflow): SubflowInfo => {
      const { path, localId, remoteId, join, initiated, backup, backupByPeer } = subflow;
      const known = { path, localId, remoteId, join, initiated, backupLocal: backup, backupRemote: backupByPeer };
      return { ...NOTHING_OF_SUBFLOW, ...known, state: "established", fullyEstablished: established };
    });
  const localAddresses = announced.map(({ id, address, port }) => ({ id, address, port, flags: 1, interfaceIndex: 0 }));
  const connection: Connection = {
    ...NOTHING,
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
