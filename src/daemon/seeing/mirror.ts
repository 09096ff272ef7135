import type { ConnectionSnapshot, EngineEvent, SubflowSnapshot } from "../../engine/index.ts";
import type { ConnectionLook, Readable } from "../../netlink/index.ts";
import {
  type Connection,
  type Millis,
  type Path,
  pathKey,
  type Side,
  type Token,
  type WatchedConnection,
  type WatchedSubflow,
} from "../../types/index.ts";

/** Rates are over at least so long: two looks in a row would show bursts. */
const RATE_OVER: Millis = 100;

type Figures = Pick<
  WatchedSubflow,
  "rtt" | "rttVar" | "lost" | "unacked" | "retransmits" | "bytesSent" | "bytesReceived" | "sendRate" | "receiveRate"
> & { readonly sinceAck: number };

const UNMEASURED: Figures = {
  rtt: 0,
  rttVar: 0,
  lost: 0,
  unacked: 0,
  retransmits: 0,
  bytesSent: 0,
  bytesReceived: 0,
  sendRate: 0,
  receiveRate: 0,
  sinceAck: 0,
};

interface SeenSubflow {
  path: Path;
  localId: number;
  remoteId: number;
  join: boolean;
  initiated: boolean | undefined;
  backup: boolean;
  backupByPeer: boolean;
  state: string;
  interfaceIndex: number;
  figures: Figures;
}

/** A connection as the kernel tells of it. */
export interface Seen {
  readonly token: Token;
  readonly side: Side | undefined;
  readonly initial: Path;
  established: boolean;
  isKernels: boolean;
  fallback: boolean;
  uid: number | undefined;
  measuredAt: Millis | undefined;
  totals: Pick<WatchedConnection, "bytesSent" | "bytesReceived" | "sendRate" | "receiveRate">;
  readonly subflows: Map<string, SeenSubflow>;
}

const NOTHING = { bytesSent: 0, bytesReceived: 0, sendRate: 0, receiveRate: 0 };

/** The connections of a namespace as the kernel's events and dumps show them, with either path manager; no I/O. */
export class Mirror {
  readonly connections = new Map<Token, Seen>();

  clear(): void {
    this.connections.clear();
  }

  /** Takes what a dump shows for all that there is. @returns the tokens of those that are gone */
  load(all: readonly Connection[]): Token[] {
    const there = new Set(all.map(({ token }) => token));
    const gone = [...this.connections.keys()].filter((token) => !there.has(token));
    for (const token of gone) this.connections.delete(token);
    for (const each of all) this.connections.set(each.token, seenOf(each, this.connections.get(each.token)));
    return gone;
  }

  /** @returns whether it changes anything of a connection that is shown; false also for one that is gone by it */
  apply(event: EngineEvent): boolean {
    switch (event.type) {
      case "connection.created":
      case "connection.established":
        return this.#onConnection(event);
      case "connection.closed":
        this.connections.delete(event.token);
        return false;
      case "subflow.established":
        return this.#onSubflow(event);
      case "subflow.closed":
        return this.#onSubflowClosed(event);
      case "subflow.priority": {
        const subflow = this.connections.get(event.token)?.subflows.get(pathKey(event.path));
        if (subflow) subflow.backupByPeer = event.backup;
        return subflow !== undefined;
      }
      default:
        return false;
    }
  }

  /** Takes what the kernel measures. @returns whether anything is new */
  measured(look: ConnectionLook, at: Millis): boolean {
    const seen = this.connections.get(look.token);
    if (!seen) return false;
    const over = seen.measuredAt === undefined ? 0 : at - seen.measuredAt;
    if (seen.measuredAt !== undefined && over < RATE_OVER) return false;
    seen.measuredAt = at;
    const before = seen.totals;
    let isNew = seen.uid !== look.uid || seen.fallback !== look.fallback || seen.isKernels !== look.isKernels;
    seen.uid = look.uid;
    seen.fallback = look.fallback;
    seen.isKernels = look.isKernels;
    seen.established ||= look.isEstablished;
    seen.totals = { ...rates(before, look, over), bytesSent: look.bytesSent, bytesReceived: look.bytesReceived };
    isNew ||= !isSame(before, seen.totals);
    for (const found of look.subflows) {
      const subflow = seen.subflows.get(pathKey(found.path));
      if (!subflow) continue;
      const figures = figuresOf(found, subflow.figures, over);
      isNew ||= !isSame(subflow.figures, figures) || subflow.backup !== found.backupLocal;
      Object.assign(subflow, factsOf(found), { figures });
    }
    return isNew;
  }

  /** Where the kernel finds it and its subflows. */
  readable(token: Token): Readable | undefined {
    const seen = this.connections.get(token);
    return seen && { token, subflows: [...seen.subflows.values()] };
  }

  #onConnection(event: EngineEvent & { type: "connection.created" | "connection.established" }): boolean {
    const { token, side, path } = event;
    const known = this.connections.get(token);
    const isEstablished = event.type === "connection.established";
    if (known) {
      known.established ||= isEstablished;
      return true;
    }
    const isOurs = side === "client";
    const initial = { ...subflowOf(path, 0, 0), join: false, initiated: isOurs };
    this.connections.set(token, {
      token,
      side,
      initial: path,
      established: isEstablished,
      isKernels: false,
      fallback: false,
      uid: undefined,
      measuredAt: undefined,
      totals: NOTHING,
      subflows: new Map([[pathKey(path), initial]]),
    });
    return true;
  }

  #onSubflow({
    token,
    path,
    localId,
    remoteId,
    backup,
    interfaceIndex,
  }: EngineEvent & { type: "subflow.established" }) {
    const seen = this.connections.get(token);
    if (!seen) return false;
    const key = pathKey(path);
    const subflow = seen.subflows.get(key) ?? subflowOf(path, localId, remoteId);
    subflow.state = "established";
    subflow.backupByPeer = backup;
    subflow.interfaceIndex = interfaceIndex ?? 0;
    seen.subflows.set(key, subflow);
    return true;
  }

  /** Older kernels have forgotten the addresses of what they tell of: then the ids say which. */
  #onSubflowClosed({ token, path, localId, remoteId }: EngineEvent & { type: "subflow.closed" }): boolean {
    const seen = this.connections.get(token);
    if (!seen) return false;
    const byPath = pathKey(path);
    const isIt = ([key, each]: [string, SeenSubflow]): boolean =>
      key === byPath || (path.local.port === 0 && each.localId === localId && each.remoteId === remoteId);
    const found = [...seen.subflows].find(isIt);
    return found !== undefined && seen.subflows.delete(found[0]);
  }
}

function subflowOf(path: Path, localId: number, remoteId: number): SeenSubflow {
  return {
    path,
    localId,
    remoteId,
    join: true,
    initiated: undefined,
    backup: false,
    backupByPeer: false,
    state: "established",
    interfaceIndex: 0,
    figures: UNMEASURED,
  };
}

function seenOf(connection: Connection, known: Seen | undefined): Seen {
  const { token, side, path, state, fallback, uid, subflows } = connection;
  const subflowsSeen = subflows.map((info): [string, SeenSubflow] => {
    const key = pathKey(info.path);
    const figures = known?.subflows.get(key)?.figures ?? UNMEASURED;
    return [key, { ...subflowOf(info.path, info.localId, info.remoteId), ...factsOf(info), figures }];
  });
  return {
    token,
    side,
    initial: path,
    established: state === "established",
    isKernels: connection.pathManager === "kernel",
    fallback,
    uid,
    measuredAt: known?.measuredAt,
    totals: known?.totals ?? NOTHING,
    subflows: new Map(subflowsSeen),
  };
}

function factsOf(info: ConnectionLook["subflows"][number] | Connection["subflows"][number]): Partial<SeenSubflow> {
  const { path, localId, remoteId, join, initiated, state, backupLocal, backupRemote, interfaceIndex } = info;
  const backups = { backup: backupLocal, backupByPeer: backupRemote };
  return { path, localId, remoteId, join, initiated, state, interfaceIndex, ...backups };
}

function figuresOf(found: ConnectionLook["subflows"][number], before: Figures, over: Millis): Figures {
  const { lost, unacked, retransmits, bytesSent, bytesReceived, sinceAck } = found;
  const measured = { lost, unacked, retransmits, bytesSent, bytesReceived, sinceAck };
  return { ...measured, rtt: found.rtt / 1000, rttVar: found.rttVar / 1000, ...rates(before, found, over) };
}

interface Counted {
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** Bytes a second since the look before; 0 where there was none. */
function rates(before: Counted, now: Counted, over: Millis) {
  if (over === 0) return { sendRate: 0, receiveRate: 0 };
  const rate = (bytes: number): number => Math.max(0, Math.round((bytes * 1000) / over));
  const sendRate = rate(now.bytesSent - before.bytesSent);
  return { sendRate, receiveRate: rate(now.bytesReceived - before.bytesReceived) };
}

/** All but the times, which move by themselves. */
function isSame<T extends object>(a: T, b: T): boolean {
  return Object.entries(a).every(([key, value]) => key === "sinceAck" || value === b[key as keyof T]);
}

/** As it is told; what the engine knows of it goes before what was seen, for it decides. */
export function shown(seen: Seen, managed: ConnectionSnapshot | undefined): WatchedConnection {
  const { token, side, initial, established, fallback, uid, measuredAt, totals } = seen;
  const isOwned = managed?.owned === true && !seen.isKernels;
  const subflows = isOwned ? managed.subflows.map((each) => managedSubflow(each, seen)) : seenSubflows(seen);
  return {
    token,
    side,
    initial,
    established,
    pathManager: isOwned ? "userspace" : seen.isKernels ? "kernel" : undefined,
    fallback,
    uid,
    policy: isOwned ? managed.policy : undefined,
    measuredAt,
    ...totals,
    subflows,
  };
}

function seenSubflows(seen: Seen): WatchedSubflow[] {
  return [...seen.subflows.values()].map(({ figures, ...facts }) => ({
    ...facts,
    held: false,
    quarantined: false,
    isProbe: false,
    ...figures,
  }));
}

function managedSubflow(subflow: SubflowSnapshot, seen: Seen): WatchedSubflow {
  const { path, localId, remoteId, join, initiated, state, backup, backupByPeer } = subflow;
  const known = seen.subflows.get(pathKey(path));
  return {
    path,
    localId,
    remoteId,
    join,
    initiated,
    state: state === "arrived" ? "established" : state,
    backup,
    backupByPeer,
    held: subflow.held === true,
    quarantined: subflow.quarantined === true,
    isProbe: subflow.isProbe === true,
    interfaceIndex: known?.interfaceIndex ?? 0,
    ...(known?.figures ?? UNMEASURED),
  };
}
