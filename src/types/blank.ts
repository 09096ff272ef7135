import type { Connection, SubflowInfo } from "./mptcp.ts";

/** What nobody knows of a connection, as nothing of it: for those that were made up, or written down in part. */
export const BLANK_CONNECTION = {
  fallback: false,
  remoteKeyReceived: true,
  checksum: false,
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

/** The same of a subflow. */
export const BLANK_SUBFLOW = {
  backupRemote: false,
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
