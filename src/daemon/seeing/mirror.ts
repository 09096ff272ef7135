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

// Objects are written out here, and not spread: there are tens of thousands of them, and V8 makes tables of what is spread.

type Figures = Pick<
  WatchedSubflow,
  | "rtt"
  | "rttVar"
  | "lost"
  | "unacked"
  | "retransmits"
  | "bytesSent"
  | "bytesReceived"
  | "sendRate"
  | "receiveRate"
  | "sinceAck"
>;

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
    const { totals } = seen;
    let isNew = seen.uid !== look.uid || seen.fallback !== look.fallback || (look.isKernels && !seen.isKernels);
    seen.uid = look.uid;
    seen.fallback = look.fallback;
    seen.isKernels ||= look.isKernels;
    seen.established ||= look.isEstablished;
    const { bytesSent = added(seen, look, "bytesSent"), bytesReceived = added(seen, look, "bytesReceived") } = look;
    seen.totals = {
      bytesSent,
      bytesReceived,
      sendRate: rate(bytesSent - totals.bytesSent, over),
      receiveRate: rate(bytesReceived - totals.bytesReceived, over),
    };
    isNew ||= hasMoved(totals, seen.totals);
    for (const found of look.subflows) {
      const subflow = seen.subflows.get(pathKey(found.path));
      if (!subflow) continue;
      const figures = figuresOf(found, subflow.figures, over);
      isNew ||= isOther(subflow.figures, figures) || subflow.backup !== found.backupLocal;
      takeFacts(subflow, found);
      subflow.figures = figures;
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
  const { token, side, path, state, fallback, uid } = connection;
  const subflows = new Map<string, SeenSubflow>();
  for (const info of connection.subflows) {
    const key = pathKey(info.path);
    const subflow = subflowOf(info.path, info.localId, info.remoteId);
    takeFacts(subflow, info);
    subflow.figures = known?.subflows.get(key)?.figures ?? UNMEASURED;
    subflows.set(key, subflow);
  }
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
    subflows,
  };
}

function takeFacts(subflow: SeenSubflow, info: Connection["subflows"][number]): void {
  subflow.path = info.path;
  subflow.localId = info.localId;
  subflow.remoteId = info.remoteId;
  subflow.join = info.join;
  subflow.initiated = info.initiated;
  subflow.state = info.state;
  subflow.backup = info.backupLocal;
  subflow.backupByPeer = info.backupRemote;
  subflow.interfaceIndex = info.interfaceIndex;
}

/** Where the kernel counts for subflows only (before Linux 6.5): what they have carried since the last look, and all that was before. */
function added(seen: Seen, { subflows }: ConnectionLook, what: "bytesSent" | "bytesReceived"): number {
  return subflows.reduce((sum, found) => {
    const before = seen.subflows.get(pathKey(found.path))?.figures[what] ?? 0;
    return sum + Math.max(0, found[what] - before);
  }, seen.totals[what]);
}

function figuresOf(found: ConnectionLook["subflows"][number], before: Figures, over: Millis): Figures {
  return {
    rtt: found.rtt / 1000,
    rttVar: found.rttVar / 1000,
    lost: found.lost,
    unacked: found.unacked,
    retransmits: found.retransmits,
    bytesSent: found.bytesSent,
    bytesReceived: found.bytesReceived,
    sendRate: rate(found.bytesSent - before.bytesSent, over),
    receiveRate: rate(found.bytesReceived - before.bytesReceived, over),
    sinceAck: found.sinceAck,
  };
}

/** Bytes a second since the look before; 0 where there was none. */
function rate(bytes: number, over: Millis): number {
  return over === 0 ? 0 : Math.max(0, Math.round((bytes * 1000) / over));
}

type Moving = Pick<WatchedConnection, "bytesSent" | "bytesReceived" | "sendRate" | "receiveRate">;

function hasMoved(a: Moving, b: Moving): boolean {
  if (a.bytesSent !== b.bytesSent || a.bytesReceived !== b.bytesReceived) return true;
  return a.sendRate !== b.sendRate || a.receiveRate !== b.receiveRate;
}

/** Times since something are not compared: they move by themselves. */
function isOther(a: Figures, b: Figures): boolean {
  if (hasMoved(a, b) || a.rtt !== b.rtt || a.rttVar !== b.rttVar) return true;
  return a.lost !== b.lost || a.unacked !== b.unacked || a.retransmits !== b.retransmits;
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
    rule: isOwned && managed.rule !== "" ? managed.rule : undefined,
    measuredAt,
    bytesSent: totals.bytesSent,
    bytesReceived: totals.bytesReceived,
    sendRate: totals.sendRate,
    receiveRate: totals.receiveRate,
    subflows,
  };
}

function seenSubflows(seen: Seen): WatchedSubflow[] {
  return [...seen.subflows.values()].map((subflow) =>
    shownSubflow(
      subflow,
      { held: false, quarantined: false, isProbe: false, interfaceIndex: subflow.interfaceIndex },
      subflow.figures,
    ),
  );
}

function managedSubflow(subflow: SubflowSnapshot, seen: Seen): WatchedSubflow {
  const known = seen.subflows.get(pathKey(subflow.path));
  const { held = false, quarantined = false, isProbe = false } = subflow;
  const interfaceIndex = known?.interfaceIndex ?? 0;
  // Others may have made it backup, and the engine not know.
  const facts = known?.backup === true && !subflow.backup ? { ...subflow, backup: true } : subflow;
  return shownSubflow(facts, { held, quarantined, isProbe, interfaceIndex }, known?.figures ?? UNMEASURED);
}

type Facts = Pick<
  SeenSubflow,
  "path" | "localId" | "remoteId" | "join" | "initiated" | "backup" | "backupByPeer" | "state"
>;
type Standing = Pick<WatchedSubflow, "held" | "quarantined" | "isProbe" | "interfaceIndex">;

function shownSubflow(facts: Facts, standing: Standing, figures: Figures): WatchedSubflow {
  return {
    path: facts.path,
    localId: facts.localId,
    remoteId: facts.remoteId,
    join: facts.join,
    initiated: facts.initiated,
    state: facts.state === "arrived" ? "established" : facts.state,
    backup: facts.backup,
    backupByPeer: facts.backupByPeer,
    held: standing.held,
    quarantined: standing.quarantined,
    isProbe: standing.isProbe,
    interfaceIndex: standing.interfaceIndex,
    rtt: figures.rtt,
    rttVar: figures.rttVar,
    lost: figures.lost,
    unacked: figures.unacked,
    retransmits: figures.retransmits,
    bytesSent: figures.bytesSent,
    bytesReceived: figures.bytesReceived,
    sendRate: figures.sendRate,
    receiveRate: figures.receiveRate,
    sinceAck: figures.sinceAck,
  };
}
