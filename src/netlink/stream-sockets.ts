import type { Path, TcpState } from "../types/index.ts";
import { ALL_STATES, type DiagSocket, IPPROTO, MPTCP_INFO_FLAG } from "../wire/index.ts";
import { dumpSockets, openDiag } from "./connections.ts";

/** What became of a stream socket: `tcp` was never asked to be more, as far as the kernel tells. */
export type StreamKind =
  | "mptcp"
  /** An MPTCP socket whose peer answered without MPTCP. */
  | "refused-by-peer"
  /** An MPTCP socket that was MPTCP until something on the path broke it. */
  | "broken"
  /** An MPTCP socket for which the kernel did not try. */
  | "not-tried"
  /** Accepted by an MPTCP listener from a peer that did not ask. */
  | "not-asked"
  | "tcp";

/** A listening or connected stream socket that a program may hold; subflows are none. */
export interface StreamSocket {
  readonly kind: StreamKind;
  readonly state: TcpState;
  readonly path: Path;
  /** Names it in /proc/PID/fd; 0: no program holds it any more. */
  readonly inode: number;
  readonly uid: number;
}

/** States in which a program may have use of a socket. */
const IN_USE: ReadonlySet<TcpState> = new Set(["established", "syn-sent", "listening", "close-wait", "fin-wait-2"]);

/** Every stream socket of a namespace, MPTCP or not. Which TCP sockets the kernel did not try MPTCP for is seen with CAP_NET_ADMIN only. */
export function listStreamSockets(netns?: string): StreamSocket[] {
  using client = openDiag(netns);
  // TCP first: a subflow whose connection comes in between would look like plain TCP.
  const tcp = dumpSockets(client, IPPROTO.TCP, ALL_STATES);
  const mptcp = dumpSockets(client, IPPROTO.MPTCP, ALL_STATES).filter(({ state }) => state !== "unknown");
  const tokens = new Set(mptcp.map((socket) => socket.mptcp?.token));
  const inodes = new Set(mptcp.map(({ inode }) => inode).filter((inode) => inode !== 0));
  const listening = mptcp.filter(({ state }) => state === "listening");
  const ports = new Set(listening.map(({ local }) => local.port));
  const isTwin = ({ state, local }: DiagSocket): boolean =>
    state === "listening" &&
    listening.some((each) => each.local.port === local.port && each.local.address === local.address);
  const isSubflow = (socket: DiagSocket): boolean =>
    inodes.has(socket.inode) || isTwin(socket) || (socket.subflow !== undefined && tokens.has(socket.subflow.token));
  return [
    ...mptcp.map((socket) => streamSocket(socket, kindOfMptcp(socket))),
    ...tcp.filter((socket) => !isSubflow(socket)).map((socket) => streamSocket(socket, kindOfTcp(socket, ports))),
  ].filter(({ state }) => IN_USE.has(state));
}

function streamSocket({ state, local, remote, inode, uid }: DiagSocket, kind: StreamKind): StreamSocket {
  return { kind, state, path: { local, remote }, inode, uid };
}

function kindOfMptcp({ mptcp, state }: DiagSocket): StreamKind {
  const flags = mptcp?.flags ?? 0;
  if (state === "listening" || !(flags & MPTCP_INFO_FLAG.FALLBACK)) return "mptcp";
  return flags & MPTCP_INFO_FLAG.REMOTE_KEY_RECEIVED ? "broken" : "refused-by-peer";
}

function kindOfTcp({ subflow, state, local }: DiagSocket, mptcpPorts: ReadonlySet<number>): StreamKind {
  if (subflow) return "not-tried";
  return state !== "listening" && mptcpPorts.has(local.port) ? "not-asked" : "tcp";
}
