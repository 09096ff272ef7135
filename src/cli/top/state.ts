import {
  formatSocketAddress,
  type Happening,
  pathKey,
  type Token,
  type WatchedConnection,
  type WatchedSubflow,
} from "../../types/index.ts";
import type { InterfaceOf } from "../happening-words.ts";
import { formatToken } from "../words.ts";
import type { DeedType } from "./deed.ts";

/** What connections are sorted by: keys go through them in this order. */
export const SORTS = ["rate", "trouble", "rtt", "bytes", "subflows", "token"] as const;
export type Sort = (typeof SORTS)[number];

export const FILTERS = ["all", "trouble", "several subflows", "one subflow", "client", "server"] as const;
export type Filter = (typeof FILTERS)[number];

/** A happening, and when it was by our clock. */
export interface Timed {
  readonly happening: Happening;
  readonly at: number;
}

/** What the daemon says of why, or that it says nothing. */
export type Explained = readonly { readonly what: string; readonly reason: string }[] | string;

/** What is known of the world. */
export interface World {
  readonly connections: ReadonlyMap<Token, WatchedConnection>;
  /** The last ones of each connection, the oldest first. */
  readonly timeline: (token: Token) => readonly Timed[];
  readonly sparkline: (key: string, width: number) => string;
  /** What the sparkline is drawn from: bytes a second, the oldest first. */
  readonly rates: (key: string) => readonly number[];
  /** Round-trip times of a subflow in milliseconds, at the same times; 0: not measured. */
  readonly rtts: (key: string) => readonly number[];
  readonly interfaceOf: InterfaceOf;
  readonly why: (token: Token) => Explained | undefined;
  /** Who is in charge, in words. */
  readonly who: string;
  /** What is missing, a sentence each. */
  readonly missing: readonly string[];
  readonly now: number;
}

/** What a person has chosen. */
export interface View {
  readonly sort: Sort;
  readonly isReversed: boolean;
  readonly filter: Filter;
  readonly search: string;
  /** The search is being typed. */
  readonly isTyping: boolean;
  readonly showsSubflows: boolean;
  readonly isPaused: boolean;
  readonly showsHelp: boolean;
  readonly selected: Token | undefined;
  /** Its page is shown. */
  readonly opened: Token | undefined;
  /** On that page, the subflow that is meant; and the first line that is shown. */
  readonly subflow: number;
  readonly scroll: number;
  /** What y will do. */
  readonly asks: Deed | undefined;
  /** What became of the last deed. */
  readonly said: string;
}

/** Something that is done to a subflow. */
export interface Deed {
  readonly type: DeedType;
  readonly token: Token;
  readonly subflow: WatchedSubflow;
}

export const FIRST_VIEW: View = {
  sort: "rate",
  isReversed: false,
  filter: "all",
  search: "",
  isTyping: false,
  showsSubflows: true,
  isPaused: false,
  showsHelp: false,
  selected: undefined,
  opened: undefined,
  subflow: 0,
  scroll: 0,
  asks: undefined,
  said: "",
};

/** The key of a subflow's history. */
export function subflowKey(token: Token, { path }: WatchedSubflow): string {
  return `${token} ${pathKey(path)}`;
}

/** Milliseconds without an acknowledgement, with data on their way, that look like trouble. */
const SILENT = 1000;

/** What is wrong with a subflow, worst first; none: nothing. */
export function troublesOf({ held, quarantined, state, lost, unacked, sinceAck }: WatchedSubflow): string[] {
  return [
    ...(held ? ["kept: nothing else is left"] : []),
    ...(quarantined ? ["in quarantine"] : []),
    ...(unacked > 0 && sinceAck > SILENT ? [`no answer for ${(sinceAck / 1000).toFixed(0)} s`] : []),
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(state === "established" ? [] : [state]),
  ];
}

/** How many {@link troublesOf} there are: without making words, because it is asked of each subflow that there is. */
export function troubleCount({ held, quarantined, state, lost, unacked, sinceAck }: WatchedSubflow): number {
  const isSilent = unacked > 0 && sinceAck > SILENT;
  return Number(held) + Number(quarantined) + Number(isSilent) + Number(lost > 0) + Number(state !== "established");
}

/** How much is wrong with a connection: 0 is nothing. */
export function troubleOf({ subflows, fallback, established }: WatchedConnection): number {
  const ofSubflows = subflows.reduce((sum, subflow) => sum + 10 * troubleCount(subflow) + Math.min(9, subflow.lost), 0);
  return ofSubflows + (established && subflows.length === 0 ? 1000 : 0) + (fallback ? 5 : 0);
}

const VALUES: Readonly<Record<Sort, (connection: WatchedConnection) => number>> = {
  rate: ({ sendRate, receiveRate }) => sendRate + receiveRate,
  trouble: troubleOf,
  rtt: ({ subflows }) => Math.max(0, ...subflows.map(({ rtt }) => rtt)),
  bytes: ({ bytesSent, bytesReceived }) => bytesSent + bytesReceived,
  subflows: ({ subflows }) => subflows.length,
  token: ({ token }) => -token,
};

const PASSES: Readonly<Record<Filter, (connection: WatchedConnection) => boolean>> = {
  all: () => true,
  trouble: (connection) => troubleOf(connection) > 0,
  "several subflows": ({ subflows }) => subflows.length > 1,
  "one subflow": ({ subflows }) => subflows.length <= 1,
  client: ({ side }) => side === "client",
  server: ({ side }) => side === "server",
};

/** The connections that are to be shown, in their order: the largest first, equal ones by their token, so that nothing jumps. */
export function listed({ connections, interfaceOf }: World, view: View): WatchedConnection[] {
  const passes = PASSES[view.filter];
  const found = [...connections.values()].filter((each) => passes(each) && isFound(each, view.search, interfaceOf));
  const value = VALUES[view.sort];
  const keyed = found.map((connection) => ({ connection, value: value(connection) }));
  keyed.sort((a, b) => b.value - a.value || a.connection.token - b.connection.token);
  const ordered = keyed.map(({ connection }) => connection);
  return view.isReversed ? ordered.reverse() : ordered;
}

/** What plans a connection, and the rule that says so; "": not known. */
export function policyWords({ policy, rule, pathManager }: WatchedConnection): string {
  if (policy === undefined) return pathManager === "kernel" ? "in-kernel" : "";
  return rule === undefined ? policy : `${policy} (rule ${rule})`;
}

/** A search finds tokens, addresses, ports, interfaces, policies, rules. */
function isFound(connection: WatchedConnection, search: string, interfaceOf: World["interfaceOf"]): boolean {
  if (search === "") return true;
  const { token, initial, subflows } = connection;
  const words = [
    formatToken(token),
    policyWords(connection).toLowerCase(),
    formatSocketAddress(initial.local),
    formatSocketAddress(initial.remote),
  ];
  const text = search.toLowerCase();
  if (words.some((word) => word.includes(text))) return true;
  return subflows.some((subflow) => {
    const { local, remote } = subflow.path;
    const ends = [
      formatSocketAddress(local),
      formatSocketAddress(remote),
      interfaceOf(local, subflow.interfaceIndex) ?? "",
    ];
    return ends.some((word) => word.toLowerCase().includes(text));
  });
}
