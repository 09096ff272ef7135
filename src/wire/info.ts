import { readU32, readU64 } from "./bytes.ts";

/** What we read of `struct tcp_info` (linux/tcp.h). Fields that an older kernel does not send are 0. */
export interface TcpInfo {
  /** Microseconds. */
  readonly rto: number;
  readonly rtt: number;
  readonly rttVar: number;
  /** Segments. */
  readonly cwnd: number;
  readonly lost: number;
  readonly totalRetransmits: number;
  /** Bytes. */
  readonly mss: number;
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly bytesRetransmitted: number;
  /** How often the retransmission timeout has doubled (tcpi_backoff). */
  readonly backoff: number;
  /** Segments. */
  readonly unacked: number;
  /** Milliseconds before the reading. */
  readonly lastDataSent: number;
  readonly lastDataReceived: number;
  readonly lastAckReceived: number;
  /** Bytes a second. */
  readonly deliveryRate: number;
  /** Microseconds in which something was to be sent or acknowledged, of all its life (tcpi_busy_time, as exact as the kernel's ticks). */
  readonly busy: number;
}

/** What we read of `struct mptcp_info` (linux/mptcp.h). undefined: the kernel is too old to say. */
export interface MptcpInfo {
  readonly extraSubflows: number;
  readonly addAddrSignaled: number;
  readonly addAddrAccepted: number;
  /** Limits and endpoint counts are filled for connections of the in-kernel path manager only. */
  readonly limitSubflows: number;
  readonly endpointsSignal: number;
  readonly limitAddAddrAccepted: number;
  readonly flags: number;
  readonly token: number;
  readonly localAddressesUsed: number;
  readonly endpointsSubflow: number;
  readonly checksum: boolean;
  /** These five: Linux 6.5. */
  readonly retransmits: number | undefined;
  readonly bytesRetransmitted: number | undefined;
  readonly bytesSent: number | undefined;
  readonly bytesReceived: number | undefined;
  readonly bytesAcked: number | undefined;
  /** The lower half of rcv_nxt: what has arrived in order, from a random number on. Every kernel has it. */
  readonly receivedInOrder: number;
  /** What the application has written and the peer has not acknowledged (write_seq - snd_una). */
  readonly outstanding: number;
  readonly subflowsTotal: number | undefined;
  /** Linux 6.18. */
  readonly endpointsLaminar: number;
  /** Linux 6.19. */
  readonly endpointsFullmesh: number;
}

/** MPTCP_INFO_FLAG_* (linux/mptcp.h). */
export const MPTCP_INFO_FLAG = { FALLBACK: 1, REMOTE_KEY_RECEIVED: 2 } as const;

/** Both structures grow at their end from release to release: a field exists if it fits what was sent. */
function fieldReader(bytes: Uint8Array, from: number, to: number) {
  return {
    u8: (offset: number): number => (from + offset < to ? bytes[from + offset]! : 0),
    u32: (offset: number): number => (from + offset + 4 <= to ? readU32(bytes, from + offset) : 0),
    u64: (offset: number): number => (from + offset + 8 <= to ? readU64(bytes, from + offset) : 0),
  };
}

export function decodeTcpInfo(bytes: Uint8Array, from: number, to: number): TcpInfo {
  const { u8, u32, u64 } = fieldReader(bytes, from, to);
  return {
    backoff: u8(4),
    rto: u32(8),
    mss: u32(16),
    unacked: u32(24),
    lost: u32(32),
    lastDataSent: u32(44),
    lastDataReceived: u32(52),
    lastAckReceived: u32(56),
    rtt: u32(68),
    rttVar: u32(72),
    cwnd: u32(80),
    totalRetransmits: u32(100),
    bytesAcked: u64(120),
    bytesReceived: u64(128),
    deliveryRate: u64(160),
    busy: u64(168),
    bytesSent: u64(200),
    bytesRetransmitted: u64(208),
  };
}

type Field = (offset: number) => number;

/** Before Linux 6.5 the structure ends at 48, and what stands at 44 is padding. */
function countsOf(u32: Field, u64: Field, areThere: boolean) {
  if (!areThere) return NO_COUNTS;
  return {
    retransmits: u32(44),
    bytesRetransmitted: u64(48),
    bytesSent: u64(56),
    bytesReceived: u64(64),
    bytesAcked: u64(72),
  };
}

const NO_COUNTS = {
  retransmits: undefined,
  bytesRetransmitted: undefined,
  bytesSent: undefined,
  bytesReceived: undefined,
  bytesAcked: undefined,
};

export function decodeMptcpInfo(bytes: Uint8Array, from: number, to: number): MptcpInfo {
  const { u8, u32, u64 } = fieldReader(bytes, from, to);
  return {
    extraSubflows: u8(0),
    addAddrSignaled: u8(1),
    addAddrAccepted: u8(2),
    limitSubflows: u8(3),
    endpointsSignal: u8(4),
    limitAddAddrAccepted: u8(5),
    flags: u32(8),
    token: u32(12),
    localAddressesUsed: u8(40),
    endpointsSubflow: u8(41),
    checksum: u8(42) === 1,
    ...countsOf(u32, u64, from + 80 <= to),
    receivedInOrder: u32(32),
    // The lower halves: both begin at a random number of 64 bits, and no send buffer is as large as 4 GiB.
    outstanding: (u32(16) - u32(24)) >>> 0,
    subflowsTotal: from + 80 < to ? u8(80) : undefined,
    endpointsLaminar: u8(81),
    endpointsFullmesh: u8(82),
  };
}
