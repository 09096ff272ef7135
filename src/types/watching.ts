import type { Path, SocketAddress } from "./address.ts";
import type { AddressId, Millis, MptcpEvent, Side, Token } from "./mptcp.ts";

/** What a reader of `watch` is told that does not say what it wants. */
export const USUAL_KINDS = ["connection", "event", "decision"] as const;
/**
 * What a reader of `watch` may ask for: the connections as they are, what the kernel tells of them, what the daemon does for them; `kernel`: what
 * the kernel tells attribute by attribute, of listeners too, for who would otherwise listen to the kernel beside the daemon.
 */
export const WATCH_KINDS = [...USUAL_KINDS, "kernel"] as const;
/** One of {@link WATCH_KINDS}. */
export type WatchKind = (typeof WATCH_KINDS)[number];

/** The slowest and the fastest pace at which a reader may ask for measured figures, in milliseconds. */
export const WATCH_PACE = { min: 200, max: 60_000 } as const;

/** Parameters of `watch`. */
export interface WatchParameters {
  /** `next` of the answer before; undefined: from the beginning, which is the state of everything. */
  readonly after?: string | undefined;
  /** Undefined: {@link USUAL_KINDS}. */
  readonly kinds?: readonly WatchKind[] | undefined;
  /** This connection only. */
  readonly token?: Token | undefined;
  /** Milliseconds from one measurement of a connection to its next, at best ({@link WATCH_PACE}); undefined: they are measured once. */
  readonly pace?: Millis | undefined;
}

/** The daemon's answer to `watch`: everything up to `next` that the reader has not, or a part of it. */
export interface ControlWatched {
  readonly next: string;
  /** Forget every connection: what comes from here on is the state from its beginning. */
  readonly reset: boolean;
  /** Nothing is left that could be told now: what the reader has is how things are. */
  readonly isComplete: boolean;
  /** By the daemon's clock, which stands still in no jump of time: milliseconds. */
  readonly at: Millis;
  /** Connections that are new or have changed, each as it is now. */
  readonly connections: readonly WatchedConnection[];
  /** Connections that are gone. */
  readonly gone: readonly Token[];
  /** What happened, in its order. */
  readonly happenings: readonly ToldHappening[];
  /** Happenings that came too fast for this reader, of any connection. What they led to is in `connections`. */
  readonly lost: number;
}

/** A connection as a daemon shows it to those who watch. */
export interface WatchedConnection {
  readonly token: Token;
  readonly side: Side | undefined;
  readonly initial: Path;
  readonly established: boolean;
  readonly pathManager: "kernel" | "userspace" | undefined;
  /** It is plain TCP by now. */
  readonly fallback: boolean;
  /** Of the user who made its socket; undefined: not known yet. */
  readonly uid: number | undefined;
  /** What plans its subflows; undefined: the kernel does. */
  readonly policy: string | undefined;
  /** The rule of the configuration that says so; undefined: none does. */
  readonly rule: string | undefined;
  /** When it was measured, by the daemon's clock; undefined: not yet. */
  readonly measuredAt: Millis | undefined;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Bytes a second, between the last two measurements; 0 where there is only one. */
  readonly sendRate: number;
  readonly receiveRate: number;
  readonly subflows: readonly WatchedSubflow[];
}

/** One of its subflows. Figures are 0 where they were not measured yet. */
export interface WatchedSubflow {
  readonly path: Path;
  readonly localId: AddressId;
  readonly remoteId: AddressId;
  /** False for the initial one. */
  readonly join: boolean;
  /** We opened it; undefined: not known. */
  readonly initiated: boolean | undefined;
  /** "creating", "established", "closing" ...: the engine's word where it has the connection, else TCP's. */
  readonly state: string;
  /** We asked the peer to treat it as backup; the peer asked us. */
  readonly backup: boolean;
  readonly backupByPeer: boolean;
  /** It was to be closed, and is kept because nothing else is left; it loses too much and is backup for now; it is there to try a path. */
  readonly held: boolean;
  readonly quarantined: boolean;
  readonly isProbe: boolean;
  /** 0: bound to none. */
  readonly interfaceIndex: number;
  /** Milliseconds. */
  readonly rtt: number;
  readonly rttVar: number;
  /** Segments: counted as lost and not repaired yet, on their way, sent again in all. */
  readonly lost: number;
  readonly unacked: number;
  readonly retransmits: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly sendRate: number;
  readonly receiveRate: number;
  /** Milliseconds since the peer acknowledged something, at the measurement. */
  readonly sinceAck: number;
}

/** Something that happened to a connection. */
export type Happening = KernelHappening | Decision;

/** Something that a reader is told of as having happened. */
export type ToldHappening = Happening | KernelEvent;

/** An event of the kernel's as it came. */
export interface KernelEvent {
  readonly kind: "kernel";
  readonly at: Millis;
  /** Absent: the kernel did not say it. Attributes that the daemon does not know are not among it. */
  readonly event: MptcpEvent;
}

/** What a {@link KernelHappening} may be of: those of `EngineEvent` that are the kernel's. */
export const KERNEL_HAPPENINGS: ReadonlySet<string> = new Set([
  "connection.created",
  "connection.established",
  "connection.closed",
  "subflow.established",
  "subflow.closed",
  "subflow.priority",
  "address.announced",
  "address.removed",
]);

/** What the kernel told of. */
export interface KernelHappening {
  readonly kind: "event";
  readonly at: Millis;
  /** "connection.established", "subflow.closed", ...: `EngineEvent` has them all. */
  readonly type: string;
  readonly token: Token;
  readonly path?: Path | undefined;
  readonly localId?: AddressId | undefined;
  readonly remoteId?: AddressId | undefined;
  /** For `address.announced`. */
  readonly address?: string | undefined;
  readonly port?: number | undefined;
  readonly backup?: boolean | undefined;
  readonly interfaceIndex?: number | undefined;
  /** Positive, of the socket that was closed. */
  readonly errno?: number | undefined;
  /** RFC 8684 section 3.6. */
  readonly resetReason?: number | undefined;
}

/** Something that the daemon asked of the kernel, for a connection or for the host. */
export interface Decision {
  readonly kind: "decision";
  readonly at: Millis;
  /**
   * "subflow.create", "subflow.destroy", "subflow.setBackup", "address.announce", "address.remove"; without a token, of the host:
   * "endpoint.add", "endpoint.delete", "limits.set", "rule.add", "route.add", "sysctl.set", ...
   */
  readonly type: string;
  readonly token: Token | undefined;
  /** What it is about, as far as it is about it. A port 0: any. */
  readonly local?: SocketAddress | undefined;
  readonly remote?: SocketAddress | undefined;
  readonly localId?: AddressId | undefined;
  readonly backup?: boolean | undefined;
  /** For people: what, from where to where. */
  readonly text: string;
  /** What led to it, in words. */
  readonly because: string;
}
