import type { Address, Path, SocketAddress } from "./address.ts";

/** Names a connection on this host (RFC 8684 §2.2; MPTCP_ATTR_TOKEN): u32, random, unique in its network namespace. */
export type Token = number;

/** Address ID of RFC 8684 §3.1: 0..255 per connection; 0 is the address of the initial subflow. */
export type AddressId = number;

/** A duration or a point in time, in milliseconds; points are from a monotonic clock whose zero means nothing. */
export type Millis = number;

/** How strong something is received, in decibels above a milliwatt: below 0, the nearer the stronger. */
export type Dbm = number;

/** Who opened the connection: the initiator is the client, the listener the server. */
export type Side = "client" | "server";

/** Bits of an endpoint's flags (MPTCP_PM_ADDR_FLAG_*, linux/mptcp_pm.h). Unknown bits are kept. */
export const ENDPOINT_FLAG = {
  signal: 1,
  subflow: 2,
  backup: 4,
  fullmesh: 8,
  implicit: 16,
  laminar: 32,
} as const;

/** One of the words of ip-mptcp(8). */
export type EndpointFlagName = keyof typeof ENDPOINT_FLAG;

/** An endpoint of a network namespace, as `ip mptcp endpoint` knows it. */
export interface Endpoint {
  readonly id: AddressId;
  readonly address: Address;
  /** 0: none. Only with `signal` and without `subflow`. */
  readonly port: number;
  /** Sum of {@link ENDPOINT_FLAG} bits. */
  readonly flags: number;
  /** 0: none. */
  readonly interfaceIndex: number;
}

/** Limits per connection, per network namespace (ip-mptcp(8)); kernel defaults 2 and 0. */
export interface Limits {
  /** Additional subflows, created and accepted together. */
  readonly subflows: number;
  /** ADD_ADDRs that may lead to subflows. */
  readonly addAddrAccepted: number;
}

/** What the kernel multicasts on `mptcp_pm_events` (MPTCP_EVENT_*), decoded; absent attributes are undefined. */
export interface MptcpEvent {
  /** MPTCP_EVENT_* number; {@link MPTCP_EVENT} names the known ones. */
  readonly type: number;
  readonly token: Token;
  readonly family: number | undefined;
  readonly localAddress: Address | undefined;
  readonly localPort: number | undefined;
  readonly remoteAddress: Address | undefined;
  readonly remotePort: number | undefined;
  readonly localId: AddressId | undefined;
  readonly remoteId: AddressId | undefined;
  /** What the peer asked; our own request is not shown. */
  readonly backup: number | undefined;
  /** errno of the socket, positive. */
  readonly error: number | undefined;
  /** MPTCP_PM_EV_FLAG_*: bit 0 deny_join_id0, bit 1 server_side (Linux 6.18). */
  readonly flags: number | undefined;
  readonly timeout: number | undefined;
  readonly interfaceIndex: number | undefined;
  /** RFC 8684 §3.6 reason code of a received MP_TCPRST. */
  readonly resetReason: number | undefined;
  readonly resetFlags: number | undefined;
  readonly serverSide: number | undefined;
  /** Attributes that this version does not know: [type, payload]. */
  readonly unknown: readonly (readonly [number, Uint8Array])[];
}

/** MPTCP_EVENT_* of linux/mptcp_pm.h. */
export const MPTCP_EVENT = {
  CREATED: 1,
  ESTABLISHED: 2,
  CLOSED: 3,
  ANNOUNCED: 6,
  REMOVED: 7,
  SUB_ESTABLISHED: 10,
  SUB_CLOSED: 11,
  SUB_PRIORITY: 13,
  LISTENER_CREATED: 15,
  LISTENER_CLOSED: 16,
} as const;

/** MPTCP_PM_EV_FLAG_* of linux/mptcp_pm.h. */
export const EVENT_FLAG = { denyJoinId0: 1, serverSide: 2 } as const;

/** TCP states as sock_diag numbers them (net/tcp_states.h). */
export const TCP_STATE = [
  "unknown",
  "established",
  "syn-sent",
  "syn-recv",
  "fin-wait-1",
  "fin-wait-2",
  "time-wait",
  "closed",
  "close-wait",
  "last-ack",
  "listening",
  "closing",
] as const;
/** One of {@link TCP_STATE}. */
export type TcpState = (typeof TCP_STATE)[number];

/** One subflow as sock_diag shows it. */
export interface SubflowInfo {
  readonly path: Path;
  readonly state: TcpState;
  readonly localId: AddressId;
  readonly remoteId: AddressId;
  /** False for the initial subflow. */
  readonly join: boolean;
  /** We opened it (JOIN_LOC / MCAP_LOC); undefined when the kernel's flags do not tell. */
  readonly initiated: boolean | undefined;
  /** We asked the peer to treat it as backup (MPTCP_SUBFLOW_FLAG_BKUP_LOC). */
  readonly backupLocal: boolean;
  /** The peer asked us (MPTCP_SUBFLOW_FLAG_BKUP_REM). */
  readonly backupRemote: boolean;
  readonly fullyEstablished: boolean;
  /** MPTCP_SUBFLOW_FLAG_* as sent by the kernel. */
  readonly ulpFlags: number;
  /** 0: not bound to an interface. */
  readonly interfaceIndex: number;
  /** Microseconds, from tcp_info. */
  readonly rtt: number;
  readonly rttVar: number;
  readonly rto: number;
  /** Segments. */
  readonly cwnd: number;
  readonly mss: number;
  readonly lost: number;
  /** Segments retransmitted in all (tcpi_total_retrans). */
  readonly retransmits: number;
  readonly bytesSent: number;
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  readonly bytesRetransmitted: number;
  readonly uid: number;
  readonly inode: number;
}

/** What the kernel measures of a subflow (`struct tcp_info`). Times are milliseconds, `since...` before the reading. */
export interface SubflowReading {
  readonly path: Path;
  readonly state: TcpState;
  readonly rtt: number;
  readonly rttVar: number;
  readonly rto: number;
  /** Segments: on their way, counted as lost, retransmitted in all. */
  readonly unacked: number;
  readonly lost: number;
  readonly retransmits: number;
  /** How often the retransmission timeout has doubled. */
  readonly backoff: number;
  readonly bytesSent: number;
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  readonly bytesRetransmitted: number;
  /** Bytes a second, as far as the application did not limit it. */
  readonly deliveryRate: number;
  readonly mss: number;
  /** How long something was on its way, of all its life; absent: not told. */
  readonly busy?: number;
  readonly sinceSent: number;
  readonly sinceAck: number;
  readonly sinceReceived: number;
}

/**
 * The same of a connection: the bytes that have arrived in order, those that the application has written and the peer has not acknowledged,
 * and of its subflows those that were found.
 */
export interface ConnectionReading {
  readonly token: Token;
  readonly bytesReceived: number;
  readonly outstanding: number;
  readonly subflows: readonly SubflowReading[];
}

/** What of a subflow tells how much its path loses. */
export interface SubflowLosses
  extends Pick<SubflowReading, "path" | "bytesSent" | "bytesRetransmitted" | "unacked" | "sinceAck"> {
  /** Segments that may be on their way at a time. */
  readonly cwnd: number;
  /** It is established, and backup for neither side. */
  readonly carries: boolean;
}

/** The same of a connection, with the bytes that wait for the peer's acknowledgement or to be sent. */
export interface ConnectionLosses {
  readonly token: Token;
  readonly outstanding: number;
  readonly subflows: readonly SubflowLosses[];
}

/** One MPTCP connection with its subflows, joined from the two sock_diag dumps. */
export interface Connection {
  readonly token: Token;
  readonly state: TcpState;
  /** The initial addresses, as the MPTCP socket has them. */
  readonly path: Path;
  /** undefined when the initial subflow is gone and nothing else tells. */
  readonly side: Side | undefined;
  /** Which path manager owns it; undefined where the kernel would not say (needs CAP_NET_ADMIN). */
  readonly pathManager: "kernel" | "userspace" | undefined;
  /** The kernel's own list of local addresses (GET_ADDR with the token); undefined unless userspace owns it. */
  readonly localAddresses: readonly Endpoint[] | undefined;
  /** MPTCP_INFO_FLAG_FALLBACK: plain TCP by now. */
  readonly fallback: boolean;
  readonly remoteKeyReceived: boolean;
  readonly checksum: boolean;
  /** mptcpi_subflows: joins of both directions, SYN-SENT included. */
  readonly extraSubflows: number;
  /** Alive subflows with the initial one; undefined before Linux 6.8. */
  readonly subflowsTotal: number | undefined;
  readonly addAddrSignaled: number;
  readonly addAddrAccepted: number;
  /** These five: undefined before Linux 6.5, which does not count them: {@link carriedBy}. */
  readonly bytesSent: number | undefined;
  readonly bytesReceived: number | undefined;
  readonly bytesAcked: number | undefined;
  readonly bytesRetransmitted: number | undefined;
  readonly retransmits: number | undefined;
  readonly uid: number;
  readonly inode: number;
  /** cgroup v2 id; undefined where the kernel does not report it. */
  readonly cgroup: number | undefined;
  readonly subflows: readonly SubflowInfo[];
}

/** What tells whether a connection can do without an address. */
export type ConnectionLife = Pick<Connection, "pathManager" | "fallback" | "remoteKeyReceived" | "subflows">;

/** A listening MPTCP socket. */
export interface Listener {
  readonly local: SocketAddress;
}
