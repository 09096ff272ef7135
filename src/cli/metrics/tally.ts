import type { Change } from "../../client/index.ts";
import {
  ERRNO,
  KERNEL_HAPPENINGS,
  type KernelHappening,
  pathKey,
  type Token,
  type WatchedConnection,
  type WatchedSubflow,
} from "../../types/index.ts";

/** Interfaces that have a label of their own; more are "other": containers come and go. */
export const INTERFACES_MAX = 32;

/** Why a subflow ended, by the errno of its socket: a closed set. */
const REASONS: ReadonlyMap<number, string> = new Map([
  [0, "closed"],
  [ERRNO.ETIMEDOUT, "timeout"],
  [ERRNO.ECONNRESET, "reset"],
  [ERRNO.ECONNREFUSED, "refused"],
  [ERRNO.EHOSTUNREACH, "unreachable"],
  [ERRNO.ENETUNREACH, "unreachable"],
  [ERRNO.ENETDOWN, "unreachable"],
  [ERRNO.ECONNABORTED, "aborted"],
  [ERRNO.EPIPE, "aborted"],
]);
/** RFC 8684 section 3.6. */
const PEER_REASONS = ["unspecified", "mptcp", "resources", "prohibited", "outstanding", "performance", "middlebox"];
const DECISIONS = new Set([
  "subflow.create",
  "subflow.destroy",
  "subflow.setBackup",
  "address.announce",
  "address.remove",
  "endpoint.add",
  "endpoint.delete",
  "endpoint.flags",
  "limits.set",
  "rule.add",
  "rule.delete",
  "route.add",
  "route.delete",
  "sysctl.set",
]);
const OTHER = "other";

/** Counts by one label from a closed set. */
export class Count {
  readonly #values: Map<string, number>;

  /** @param labels those that are told of at 0, too: Prometheus takes no first value for an increase */
  constructor(labels: Iterable<string> = []) {
    this.#values = new Map([...labels].map((label) => [label, 0]));
  }

  add(label: string, by = 1): void {
    this.#values.set(label, (this.#values.get(label) ?? 0) + by);
  }

  get entries(): readonly (readonly [string, number])[] {
    return [...this.#values];
  }
}

/** What was counted since this began, and what there is now. Each label is from a closed set. */
export class Tally {
  readonly connections = new Map<Token, WatchedConnection>();
  readonly events = new Count([...KERNEL_HAPPENINGS, OTHER]);
  readonly decisions = new Count([...DECISIONS, OTHER]);
  readonly closed = new Count([...REASONS.values(), OTHER]);
  readonly peerResets = new Count([...PEER_REASONS, OTHER]);
  readonly sent = new Count();
  readonly received = new Count();
  lost = 0;
  hasDaemon = false;
  /** Only what is the caller's own is counted. */
  isLimited = false;
  readonly #interfaceOf: (subflow: WatchedSubflow) => string | undefined;
  readonly #interfaces = new Set<string>();
  readonly #bytes = new Map<Token, Map<string, { readonly sent: number; readonly received: number }>>();

  constructor(interfaceOf: (subflow: WatchedSubflow) => string | undefined) {
    this.#interfaceOf = interfaceOf;
  }

  take(change: Change): void {
    switch (change.type) {
      case "connection":
        this.connections.set(change.connection.token, change.connection);
        return this.#countBytes(change.connection);
      case "gone":
        this.connections.delete(change.token);
        this.#bytes.delete(change.token);
        return;
      case "event":
        return this.#onEvent(change.event);
      case "decision":
        return this.decisions.add(DECISIONS.has(change.decision.type) ? change.decision.type : OTHER);
      case "lost":
        this.lost += change.count;
        return;
      case "connected":
        this.hasDaemon = true;
        this.isLimited = change.isLimited;
        return;
      case "disconnected":
        this.hasDaemon = false;
        this.connections.clear();
        this.#bytes.clear();
        return;
      case "complete":
        return;
    }
  }

  /** Those that fell back, as far as the daemon knows. */
  get fallen(): Token[] {
    return [...this.connections.values()].filter(({ fallback }) => fallback).map(({ token }) => token);
  }

  /** The label of a subflow's interface. */
  label(subflow: WatchedSubflow): string {
    const name = this.#interfaceOf(subflow) ?? "none";
    if (this.#interfaces.has(name)) return name;
    if (this.#interfaces.size >= INTERFACES_MAX) return OTHER;
    this.#interfaces.add(name);
    return name;
  }

  #onEvent({ type, errno, resetReason }: KernelHappening): void {
    this.events.add(KERNEL_HAPPENINGS.has(type) ? type : OTHER);
    if (type !== "subflow.closed") return;
    this.closed.add(REASONS.get(errno ?? 0) ?? OTHER);
    if (resetReason !== undefined) this.peerResets.add(PEER_REASONS[resetReason] ?? OTHER);
  }

  /** What a subflow has carried since it was told of last. */
  #countBytes({ token, subflows }: WatchedConnection): void {
    const before = this.#bytes.get(token);
    const now = new Map<string, { sent: number; received: number }>();
    for (const subflow of subflows) {
      const key = pathKey(subflow.path);
      const { sent = 0, received = 0 } = before?.get(key) ?? {};
      now.set(key, { sent: subflow.bytesSent, received: subflow.bytesReceived });
      // A connection that was there before us brings its past; one that is new has none.
      if (before === undefined && (subflow.bytesSent > 0 || subflow.bytesReceived > 0)) continue;
      const label = this.label(subflow);
      this.sent.add(label, Math.max(0, subflow.bytesSent - sent));
      this.received.add(label, Math.max(0, subflow.bytesReceived - received));
    }
    this.#bytes.set(token, now);
  }
}
