import {
  type Address,
  AF_INET,
  type Path,
  type SocketAddress,
  TCP_STATE,
  type TcpState,
  type Token,
} from "../types/index.ts";
import { decode, type Table, walk } from "./attributes.ts";
import { readAddress, readU16be, readU32, readU64, type Writer } from "./bytes.ts";
import { CodecError } from "./errors.ts";
import { decodeMptcpInfo, decodeTcpInfo, type MptcpInfo, type TcpInfo } from "./info.ts";
import type { MessageHeader } from "./message.ts";

/** SOCK_DIAG_BY_FAMILY (linux/sock_diag.h). */
export const SOCK_DIAG_BY_FAMILY = 20;
/** TCPDIAG_GETSOCK (linux/inet_diag.h): the older request, the only one that dumps both families in one walk of the kernel's table. */
export const TCPDIAG_GETSOCK = 18;

/** IPPROTO_TCP and IPPROTO_MPTCP (linux/in.h). */
export const IPPROTO = { TCP: 6, MPTCP: 262 } as const;

/** INET_DIAG_* attribute numbers that we read (linux/inet_diag.h). */
const INET_DIAG = { INFO: 2, ULP_INFO: 19, CGROUP_ID: 21 } as const;
const INET_DIAG_REQ_PROTOCOL = 3;

/** States as a bit mask (1 << TCP_*): all of them. */
export const ALL_STATES = 0xfff;
export const ESTABLISHED_STATE = 1 << 1;
export const SYN_SENT_STATE = 1 << 2;
export const LISTEN_STATE = 1 << 10;

/** MPTCP_SUBFLOW_FLAG_* (linux/mptcp.h); `ss` prints them as M m J j B b e c v. */
export const SUBFLOW_FLAG = {
  MCAP_REM: 1 << 0,
  MCAP_LOC: 1 << 1,
  JOIN_REM: 1 << 2,
  JOIN_LOC: 1 << 3,
  BKUP_REM: 1 << 4,
  BKUP_LOC: 1 << 5,
  FULLY_ESTABLISHED: 1 << 6,
  CONNECTED: 1 << 7,
  MAPVALID: 1 << 8,
} as const;

/** MPTCP_SUBFLOW_ATTR_* (linux/mptcp.h). */
const SUBFLOW_ATTRIBUTE = {
  token_rem: [1, "u32"],
  token_loc: [2, "u32"],
  relwrite_seq: [3, "u32"],
  map_seq: [4, "u64"],
  map_sfseq: [5, "u32"],
  ssn_offset: [6, "u32"],
  map_datalen: [7, "u16"],
  flags: [8, "u32"],
  id_rem: [9, "u8"],
  id_loc: [10, "u8"],
} as const satisfies Table;

/** INET_ULP_INFO_* (linux/inet_diag.h). */
const ULP_ATTRIBUTE = {
  name: [1, "string"],
  tls: [2, "bytes"],
  mptcp: [3, SUBFLOW_ATTRIBUTE],
} as const satisfies Table;

const INET_DIAG_MSG = 72;
/** INET_DIAG_NOCOOKIE, both halves. */
const NO_COOKIE = 0xffff_ffff;
const ADDRESS_ROOM = 16;

/** Which sockets are asked for. */
export interface DiagRequest {
  readonly family: number;
  readonly protocol: (typeof IPPROTO)[keyof typeof IPPROTO];
  /** Bit mask of TCP states, for a dump. */
  readonly states: number;
  /** For a request without NLM_F_DUMP: the one socket that is meant. */
  readonly id?: DiagId | undefined;
}

/** `struct inet_diag_sockid`: a TCP socket by its 4-tuple and the interface it is bound to (0: none), an MPTCP socket by its token. */
export type DiagId = { readonly path: Path; readonly interfaceIndex: number } | { readonly token: Token };

function encodeId(writer: Writer, id: DiagId | undefined): void {
  const path = id && "path" in id ? id.path : NO_PATH;
  writer.u16be(path.local.port);
  writer.u16be(path.remote.port);
  for (const { address } of [path.local, path.remote]) {
    const start = writer.length;
    writer.address(address);
    while (writer.length - start < ADDRESS_ROOM) writer.u8(0);
  }
  writer.u32(id && "path" in id ? id.interfaceIndex : 0);
  writer.u32(id && "token" in id ? id.token : NO_COOKIE);
  writer.u32(NO_COOKIE);
}

const NOWHERE: SocketAddress = { address: "0.0.0.0" as Address, port: 0 };
const NO_PATH: Path = { local: NOWHERE, remote: NOWHERE };

/**
 * Appends `struct inet_diag_req_v2`. IPPROTO_MPTCP (262) does not fit the protocol byte: it goes into an attribute,
 * and the byte says IPPROTO_RAW (255), as ss -M does.
 */
export function encodeDiagRequest(writer: Writer, { family, protocol, states, id }: DiagRequest): void {
  const wide = protocol > 255;
  writer.u8(family);
  writer.u8(wide ? 255 : protocol);
  writer.u8(1 << (INET_DIAG.INFO - 1));
  writer.u8(0);
  writer.u32(states);
  encodeId(writer, id);
  if (wide) {
    writer.u16(8);
    writer.u16(INET_DIAG_REQ_PROTOCOL);
    writer.u32(protocol);
  }
}

/** Appends `struct inet_diag_req` of a dump: TCP sockets of both families (inet_diag_dump_compat takes AF_UNSPEC, whatever it says). */
export function encodeTcpDump(writer: Writer, states: number): void {
  for (const unused of [AF_INET, 0, 0]) writer.u8(unused);
  writer.u8(1 << (INET_DIAG.INFO - 1));
  encodeId(writer, undefined);
  writer.u32(states);
  writer.u32(0);
}

/** One socket as inet_diag reports it. */
export interface DiagSocket {
  readonly family: number;
  readonly state: TcpState;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  readonly interfaceIndex: number;
  readonly uid: number;
  readonly inode: number;
  /** cgroup v2 id. */
  readonly cgroup: number | undefined;
  /** Of a TCP socket. */
  readonly tcp: TcpInfo | undefined;
  /** Of an MPTCP socket. */
  readonly mptcp: MptcpInfo | undefined;
  /** Of a TCP socket that is a subflow. */
  readonly subflow: SubflowDiag | undefined;
}

/** The `mptcp` ULP information of a subflow. */
export interface SubflowDiag {
  /** Our token: names the connection. */
  readonly token: number;
  readonly remoteToken: number;
  /** {@link SUBFLOW_FLAG} bits. */
  readonly flags: number;
  readonly localId: number;
  readonly remoteId: number;
}

function decodeSubflow(bytes: Uint8Array, from: number, to: number): SubflowDiag | undefined {
  const { mptcp } = decode(ULP_ATTRIBUTE, bytes, from, to);
  if (!mptcp || mptcp.token_loc === undefined) return undefined;
  return {
    token: mptcp.token_loc,
    remoteToken: mptcp.token_rem ?? 0,
    flags: mptcp.flags ?? 0,
    localId: mptcp.id_loc ?? 0,
    remoteId: mptcp.id_rem ?? 0,
  };
}

/**
 * Decodes one `struct inet_diag_msg`.
 * @param protocol which dump it answers: decides how INET_DIAG_INFO is read
 */
export function decodeDiagSocket(bytes: Uint8Array, { from, to }: MessageHeader, protocol: number): DiagSocket {
  if (to - from < INET_DIAG_MSG) throw new CodecError("cut inet_diag_msg", from, "sock_diag");
  const family = bytes[from]!;
  const length = family === 2 ? 4 : 16;
  let tcp: TcpInfo | undefined;
  let mptcp: MptcpInfo | undefined;
  let subflow: SubflowDiag | undefined;
  let cgroup: number | undefined;
  walk(bytes, from + INET_DIAG_MSG, to, (type, start, end) => {
    if (type === INET_DIAG.INFO) {
      if (protocol === IPPROTO.MPTCP) mptcp = decodeMptcpInfo(bytes, start, end);
      else tcp = decodeTcpInfo(bytes, start, end);
    } else if (type === INET_DIAG.ULP_INFO) subflow = decodeSubflow(bytes, start, end);
    else if (type === INET_DIAG.CGROUP_ID && end - start >= 8) cgroup = readU64(bytes, start);
  });
  return {
    family,
    state: TCP_STATE[bytes[from + 1]!] ?? "unknown",
    local: { address: readAddress(bytes, from + 8, length), port: readU16be(bytes, from + 4) },
    remote: { address: readAddress(bytes, from + 24, length), port: readU16be(bytes, from + 6) },
    interfaceIndex: readU32(bytes, from + 40),
    uid: readU32(bytes, from + 64),
    inode: readU32(bytes, from + 68),
    cgroup,
    tcp,
    mptcp,
    subflow,
  };
}
