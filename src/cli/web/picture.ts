import type {
  DaemonPicture,
  Edge,
  Opened,
  Picture,
  Query,
  Row,
  State,
  SubflowRow,
  Topology,
} from "../../page/index.ts";
import {
  formatSocketAddress,
  pathKey,
  type Token,
  type ToldRules,
  unmap,
  type WatchedConnection,
  type WatchedSubflow,
} from "../../types/index.ts";
import { happeningWords } from "../happening-words.ts";
import {
  FILTERS,
  FIRST_VIEW,
  listed,
  policyWords,
  SORTS,
  subflowKey,
  troubleCount,
  troubleOf,
  troublesOf,
  type World,
} from "../top/state.ts";
import { formatToken, parseToken } from "../words.ts";

/** Rows that one picture has at most, and remote hosts that a drawing has room for. */
const ROWS_MAX = 200;
const REMOTES_MAX = 12;
const RULES_MAX = 50;

/** What does not come from the world of connections. */
export type Frame = Pick<Picture, "host" | "mayControl"> & {
  readonly daemon: HostPicture | undefined;
  readonly userName: (uid: number) => string;
};

/** What the daemon says of itself: how many connections have a rule is known here. */
export type HostPicture = Omit<DaemonPicture, "rules"> & { readonly rules: ToldRules | undefined };

/** Everything that a page with this query shows. */
export function pictureOf(world: World, query: Query, { userName, daemon, ...frame }: Frame): Picture {
  const all = [...world.connections.values()];
  const list = listed(world, {
    ...FIRST_VIEW,
    sort: SORTS.find((sort) => sort === query.sort) ?? FIRST_VIEW.sort,
    filter: FILTERS.find((filter) => filter === query.filter) ?? FIRST_VIEW.filter,
    search: query.search,
  });
  const offset = Math.max(0, Math.min(query.offset, list.length - 1));
  const shown = list.slice(offset, offset + Math.min(query.count, ROWS_MAX));
  return {
    ...frame,
    // Not on the page of a connection.
    daemon: query.opened === "" && daemon ? { ...daemon, rules: rulesOf(daemon.rules, all) } : undefined,
    who: world.who,
    missing: world.missing,
    sums: {
      connections: all.length,
      subflows: all.reduce((sum, { subflows }) => sum + subflows.length, 0),
      troubled: all.filter((connection) => troubleOf(connection) > 0).length,
      sendRate: all.reduce((sum, { sendRate }) => sum + sendRate, 0),
      receiveRate: all.reduce((sum, { receiveRate }) => sum + receiveRate, 0),
    },
    topology: topologyOf(all, world),
    found: list.length,
    offset,
    rows: shown.map((connection) => rowOf(connection, world)),
    ...openedOf(query.opened, world, userName),
  };
}

function rulesOf(told: ToldRules | undefined, connections: readonly WatchedConnection[]): DaemonPicture["rules"] {
  if (!told) return undefined;
  const counts = new Map<string, number>();
  for (const { rule } of connections) if (rule !== undefined) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  const shown = told.rules.slice(0, RULES_MAX);
  return {
    shown: shown.map((rule) => ({ ...rule, connections: counts.get(rule.name) ?? 0 })),
    more: told.more + told.rules.length - shown.length,
  };
}

function rowOf(connection: WatchedConnection, world: World): Row {
  const { token, side, initial, subflows } = connection;
  return {
    token: formatToken(token),
    side: side ?? "",
    remote: formatSocketAddress(initial.remote),
    policy: policyWords(connection),
    subflows: subflows.length,
    sendRate: connection.sendRate,
    receiveRate: connection.receiveRate,
    // Of the one that carries most: another's is nobody's concern.
    rtt: busiest(subflows)?.rtt ?? 0,
    bytes: connection.bytesSent + connection.bytesReceived,
    trouble: troubleWords(connection),
    rates: world.rates(`${token}`),
  };
}

function busiest(subflows: readonly WatchedSubflow[]): WatchedSubflow | undefined {
  const rate = ({ sendRate, receiveRate }: WatchedSubflow): number => sendRate + receiveRate;
  return subflows.reduce<WatchedSubflow | undefined>(
    (best, each) => (best === undefined || rate(each) > rate(best) ? each : best),
    undefined,
  );
}

function troubleWords({ subflows, fallback, established }: WatchedConnection): string {
  return [
    ...(fallback ? ["plain TCP"] : []),
    ...(established && subflows.length === 0 ? ["no subflow is left"] : []),
    ...new Set(subflows.flatMap(troublesOf)),
  ].join(", ");
}

function openedOf(text: string, world: World, userName: Frame["userName"]): { opened?: Opened | null } {
  const token = text === "" ? undefined : parseToken(text);
  if (token === undefined) return {};
  const connection = world.connections.get(token);
  return { opened: connection ? pageOf(token, connection, world, userName) : null };
}

function pageOf(token: Token, connection: WatchedConnection, world: World, userName: Frame["userName"]): Opened {
  const { initial, uid, bytesSent, bytesReceived, subflows } = connection;
  const timeline = world.timeline(token).map(({ happening, at }) => ({
    ago: Math.max(0, Math.round(world.now - at)),
    kind: happening.kind,
    text: happeningWords(happening, world.interfaceOf),
  }));
  return {
    row: rowOf(connection, world),
    local: formatSocketAddress(initial.local),
    user: uid === undefined ? "" : userName(uid),
    bytesSent,
    bytesReceived,
    subflows: subflows.map((subflow) => subflowRowOf(token, subflow, world)),
    why: world.why(token),
    timeline: timeline.reverse(),
  };
}

function subflowRowOf(token: Token, subflow: WatchedSubflow, world: World): SubflowRow {
  const { path, state, backup, backupByPeer, isProbe } = subflow;
  const words = [
    ...(troublesOf(subflow).length > 0 ? troublesOf(subflow) : [state]),
    ...(backup ? ["backup"] : []),
    ...(backupByPeer ? ["backup for the peer"] : []),
    ...(isProbe ? ["a probe"] : []),
  ];
  return {
    key: pathKey(path),
    interface: world.interfaceOf(path.local, subflow.interfaceIndex) ?? "",
    local: formatSocketAddress(path.local),
    remote: formatSocketAddress(path.remote),
    state: stateOf(subflow),
    words: words.join(", "),
    isBackup: backup,
    rtt: subflow.rtt,
    sendRate: subflow.sendRate,
    receiveRate: subflow.receiveRate,
    retransmits: subflow.retransmits,
    rates: world.rates(subflowKey(token, subflow)),
    rtts: world.rtts(subflowKey(token, subflow)),
  };
}

function stateOf(subflow: WatchedSubflow): State {
  if (troubleCount(subflow) > 0) return "trouble";
  return subflow.backup || subflow.backupByPeer ? "backup" : "good";
}

const WORSE: Readonly<Record<State, number>> = { backup: 0, good: 1, trouble: 2 };

/** A line is what the best of it carries: backup only where all of it is; trouble where any of it is. */
function topologyOf(connections: readonly WatchedConnection[], world: World): Topology {
  const { edges, rates } = linesOf(connections, world);
  const order = [...rates].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([to]) => to);
  // The busiest, and in an order that does not jump with each reading.
  const remotes = order.slice(0, REMOTES_MAX).sort();
  const drawn = remotes.flatMap((to) => [...(edges.get(to)?.values() ?? [])]);
  const interfaces = [...new Set(drawn.map(({ from }) => from))].sort();
  return { interfaces, remotes, edges: drawn, more: order.length - remotes.length };
}

type Line = { -readonly [K in keyof Edge]: Edge[K] };

/** By remote host, and in it by interface; and what goes to each host. Each subflow is looked at, of which there may be many: nothing is made for it. */
function linesOf(connections: readonly WatchedConnection[], world: World) {
  const edges = new Map<string, Map<string, Line>>();
  const rates = new Map<string, number>();
  for (const { subflows } of connections) {
    for (const subflow of subflows) {
      const { path, interfaceIndex, sendRate, receiveRate } = subflow;
      const from = world.interfaceOf(path.local, interfaceIndex) ?? "?";
      const to = unmap(path.remote.address);
      const rate = sendRate + receiveRate;
      const state = stateOf(subflow);
      const lines = edges.get(to) ?? new Map<string, Line>();
      const line = lines.get(from) ?? { from, to, subflows: 0, rate: 0, state };
      if (line.subflows === 0) edges.set(to, lines.set(from, line));
      line.subflows++;
      line.rate += rate;
      if (WORSE[state] > WORSE[line.state]) line.state = state;
      rates.set(to, (rates.get(to) ?? 0) + rate);
    }
  }
  return { edges, rates };
}
