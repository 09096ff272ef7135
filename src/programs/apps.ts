import { listStreamSockets, type StreamKind, type StreamSocket } from "../netlink/index.ts";
import { type Process, processesWith } from "./processes.ts";

/** Why a connection is plain TCP although one side asked for MPTCP. */
export type FallbackReason = Exclude<StreamKind, "mptcp" | "tcp">;

/** What a program, or the unknown ones of a user, do with stream sockets; those over the loopback are counted apart. */
export interface Use {
  /** Connections. */
  readonly mptcp: number;
  readonly tcp: number;
  readonly fellBack: readonly { readonly reason: FallbackReason; readonly count: number }[];
  readonly loopback: number;
  /** Ports on which it listens, ascending. */
  readonly listens: { readonly mptcp: readonly number[]; readonly tcp: readonly number[] };
}

/** What is known of the programs that use the network of a namespace. */
export interface Apps {
  readonly apps: readonly (Process & Use)[];
  /** Sockets whose process may not be looked at, by user; or that belong to none: the kernel's, other pid namespaces'. */
  readonly others: readonly ({ readonly uid: number } & Use)[];
  /** Processes that may not be looked at. */
  readonly hidden: number;
}

/** Looks at every stream socket of a namespace, and at whose it is. */
export function listApps(netns?: string): Apps {
  const sockets = new Map(listStreamSockets(netns).map((socket) => [socket.inode, socket]));
  sockets.delete(0);
  const { found, hidden } = processesWith(new Set(sockets.keys()));
  const apps = found.map((process) => ({
    ...process,
    ...useOf([...process.sockets].map((inode) => sockets.get(inode)!)),
  }));
  for (const { sockets: known } of found) for (const inode of known) sockets.delete(inode);
  const byUser = new Map<number, StreamSocket[]>();
  for (const socket of sockets.values()) byUser.set(socket.uid, [...(byUser.get(socket.uid) ?? []), socket]);
  return { apps, others: [...byUser].map(([uid, theirs]) => ({ uid, ...useOf(theirs) })), hidden };
}

const isLoopback = ({ state, path }: StreamSocket): boolean => {
  const { address } = state === "listening" ? path.local : path.remote;
  return /^(127\.|::1$|::ffff:127\.)/.test(address);
};

/** Counts sockets by what became of them. */
export function useOf(sockets: readonly StreamSocket[]): Use {
  const outside = sockets.filter((socket) => !isLoopback(socket));
  const connections = outside.filter(({ state }) => state !== "listening");
  const ofKind = (kind: StreamKind): number => connections.filter((socket) => socket.kind === kind).length;
  const reasons = ["refused-by-peer", "broken", "not-tried", "not-asked"] as const;
  const listens = (kind: StreamKind): number[] => {
    const ports = outside.filter((socket) => socket.state === "listening" && socket.kind === kind);
    return [...new Set(ports.map(({ path }) => path.local.port))].sort((one, other) => one - other);
  };
  return {
    mptcp: ofKind("mptcp"),
    tcp: ofKind("tcp"),
    fellBack: reasons.map((reason) => ({ reason, count: ofKind(reason) })).filter(({ count }) => count > 0),
    loopback: sockets.length - outside.length,
    listens: { mptcp: listens("mptcp"), tcp: listens("tcp") },
  };
}
