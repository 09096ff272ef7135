import type { Path } from "./address.ts";
import type { Millis, Token } from "./mptcp.ts";
import type { Happening } from "./watching.ts";

/** What is asked of the history: parameters of the control socket's method `history`. */
export interface HistoryParameters {
  /** Connections that were there then or later. Milliseconds since 1970; absent: all. */
  readonly since?: Millis | undefined;
  /** This connection only, with its story. */
  readonly token?: Token | undefined;
  /** So many of the newest are passed over: those of the pages before. */
  readonly skip?: number | undefined;
}

/** What became of one connection. Times are milliseconds since 1970. */
export interface HistoryConnection {
  readonly token: Token;
  readonly path: Path;
  readonly isOpen: boolean;
  /** undefined: before the black box tells of it. */
  readonly began?: Millis | undefined;
  /** undefined: it is there still, or nobody knows. */
  readonly ended?: Millis | undefined;
  /** Pairs of addresses between which it had subflows. */
  readonly ways: readonly string[];
  /** Subflows that were established, the initial one included; of them those that ended with an error, and joins that were refused. */
  readonly subflows: number;
  readonly lost: number;
  readonly refused: number;
  /** Both ways, as far as it was measured. */
  readonly bytesAtLeast: number;
  /** Whose it is; undefined: nobody knows. */
  readonly uid?: number | undefined;
}

/** One step of a connection's story. */
export interface HistoryStep {
  /** Milliseconds since 1970. */
  readonly time: Millis;
  /** The kernel told of it, or it was done. */
  readonly kind: "event" | "done" | "host";
  readonly happening: Happening;
}

/** The answer to `history`: a page of connections, in the order of their beginning. */
export interface ToldHistory {
  readonly connections: readonly HistoryConnection[];
  /** Older ones that this page has no room for. */
  readonly more: number;
  /** With a token: what happened to it and what was done for it; the last steps count. */
  readonly story?: readonly HistoryStep[] | undefined;
  /** Names of interfaces by the addresses of the story. */
  readonly interfaces?: Readonly<Record<string, string>> | undefined;
}
