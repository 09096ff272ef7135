import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Change } from "../../client/index.ts";
import { type FallenConnection, UnsupportedError } from "../../netlink/index.ts";
import type { ControlHello, WatchedConnection, WatchedSubflow } from "../../types/index.ts";
import { exposition } from "./exposition.ts";
import { Fallen } from "./fallen.ts";
import { families } from "./families.ts";
import { INTERFACES_MAX, Tally } from "./tally.ts";

const contrib = join(import.meta.dirname, "..", "..", "..", "..", "contrib");

function subflow(address: string, more: Partial<WatchedSubflow> = {}): WatchedSubflow {
  const path = { local: { address, port: 1 }, remote: { address: "10.9.9.9", port: 2 } };
  const figures = { bytesSent: 0, bytesReceived: 0, unacked: 0, sinceAck: 0 };
  return {
    path,
    state: "established",
    backup: false,
    backupByPeer: false,
    interfaceIndex: 0,
    ...figures,
    ...more,
  } as WatchedSubflow;
}

function told(token: number, subflows: WatchedSubflow[], more: Partial<WatchedConnection> = {}): Change {
  const facts = { token, side: "client", pathManager: "userspace", policy: "resilient", established: true };
  return { type: "connection", connection: { ...facts, subflows, ...more } as WatchedConnection };
}

const closed = (errno: number, resetReason?: number): Change =>
  ({ type: "event", event: { kind: "event", type: "subflow.closed", errno, resetReason } }) as Change;

const HELLO = {
  version: "0.1.0",
  pathManager: "userspace",
  policy: "resilient",
  rule: undefined,
  uptime: 1500,
  events: 7,
  overruns: 0,
  foreseen: 1,
  ahead: { sent: 3, refused: 1 },
  troubles: ["the state cannot be written"],
  latency: {
    decisions: { bounds: [0.01, 0.1, 1], counts: [0, 3, 1, 1], sum: 5.5 },
    commands: { bounds: [0.01, 0.1, 1], counts: [4, 1, 0, 0], sum: 0.06 },
  },
  watchdog: { interval: 30_000, told: 9, missed: 1 },
  blackBox: { directory: "/x", size: 1, written: 500, entries: 10, lost: 2 },
  quotas: [{ interface: "cellular", used: 70, limit: 100, period: "month", stage: "warned", ends: "" }],
  paths: { silent: 1, probes: 2, quarantines: 3, recoveries: { count: 4, median: 50, longest: 900 } },
} as unknown as ControlHello;

function counted(changes: readonly Change[]): Tally {
  const tally = new Tally(({ path }) => (path.local.address === "10.0.1.1" ? "wifi" : path.local.address));
  tally.take({ type: "connected", isLimited: false });
  for (const change of changes) tally.take(change);
  return tally;
}

const COUNTERS = { MPJoinSynRx: 5, MPCurrEstab: 2, MPCapableFallbackSYNACK: 6, DssFallback: 0 };

const text = (tally: Tally, format: "openmetrics" | "text" = "openmetrics"): string =>
  exposition(families({ tally, hello: HELLO, counters: COUNTERS, fallen: { handshake: 4, later: 1 } }), format);

test("metrics: connections, subflows, events and reasons, counted under labels of closed sets", () => {
  const tally = counted([
    told(1, [subflow("10.0.1.1"), subflow("10.0.2.1", { backup: true, held: true })]),
    told(2, [subflow("10.0.1.1", { state: "creating" })], { policy: "somebody's own", side: undefined }),
    told(4, [subflow("10.0.1.1", { state: "close-wait" })], { fallback: true }),
    told(3, [subflow("10.0.1.1", { state: "fin-wait-1", unacked: 3, sinceAck: 5000, quarantined: true })]),
    { type: "gone", token: 9 },
    closed(0),
    closed(110),
    closed(110, 6),
    closed(9999, 99),
    { type: "decision", decision: { type: "subflow.create" } } as Change,
    { type: "decision", decision: { type: "something else" } } as Change,
    { type: "lost", count: 12 },
  ]);
  const shown = text(tally);
  for (const line of [
    'subflow_daemon_info{version="0.1.0",path_manager="userspace",policy="resilient"} 1',
    "subflow_daemon_uptime_seconds 1.5",
    "subflow_daemon_troubles 1",
    'subflow_daemon_ahead_requests_total{outcome="taken"} 2',
    "subflow_recovery_median_seconds 0.05",
    "# TYPE subflow_decision_seconds histogram",
    'subflow_decision_seconds_bucket{le="0.00001"} 0',
    'subflow_decision_seconds_bucket{le="0.0001"} 3',
    'subflow_decision_seconds_bucket{le="0.001"} 4',
    'subflow_decision_seconds_bucket{le="+Inf"} 5',
    "subflow_decision_seconds_count 5",
    "subflow_decision_seconds_sum 0.0055",
    "subflow_command_seconds_count 5",
    "subflow_watchdog_interval_seconds 30",
    "subflow_watchdog_missed_total 1",
    "subflow_black_box_lost_total 2",
    'subflow_quota_used_bytes{interface="cellular"} 70',
    'subflow_quota_limit_bytes{interface="cellular",period="month"} 100',
    'subflow_quota_stage{interface="cellular",stage="warned"} 1',
    'subflow_quota_stage{interface="cellular",stage="off"} 0',
    'subflow_connections{side="client",path_manager="userspace"} 2',
    'subflow_connections{side="unknown",path_manager="userspace"} 1',
    'subflow_connections_by_policy{policy="other"} 1',
    "subflow_connections_without_subflow 1",
    "subflow_connections_with_one_subflow 1",
    'subflow_connections_fallen_back{at="handshake"} 4',
    'subflow_connections_fallen_back{at="later"} 1',
    'subflow_fallbacks_total{reason="no_mptcp_in_synack"} 6',
    'subflow_fallbacks_total{reason="no_mapping"} 0',
    'subflow_connections{side="server",path_manager="kernel"} 0',
    'subflow_subflows_closed_total{reason="refused"} 0',
    'subflow_peer_resets_total{reason="performance"} 0',
    'subflow_subflows{interface="wifi",state="other",backup="false"} 1',
    'subflow_subflows{interface="10.0.2.1",state="established",backup="true"} 1',
    "subflow_subflows_held 1",
    "subflow_subflows_quarantined 1",
    "subflow_subflows_stalled 1",
    'subflow_subflows_closed_total{reason="timeout"} 2',
    'subflow_subflows_closed_total{reason="other"} 1',
    'subflow_peer_resets_total{reason="middlebox"} 1',
    'subflow_peer_resets_total{reason="other"} 1',
    'subflow_decisions_total{type="other"} 1',
    "subflow_exporter_lost_total 12",
    'subflow_mib_total{counter="MPJoinSynRx"} 5',
  ]) {
    assert.ok(shown.split("\n").includes(line), `${line}\n${shown}`);
  }
  assert.doesNotMatch(shown, /MPCurrEstab/, "no counter: it goes down again");
  assert.ok(shown.endsWith("# EOF\n"));
});

test("metrics: bytes by interface are what was carried since, not what was there before, nor counted twice", () => {
  const at = (sent: number, received: number): WatchedSubflow[] => [
    subflow("10.0.1.1", { bytesSent: sent, bytesReceived: received }),
  ];
  const tally = counted([
    told(1, at(1000, 0)),
    told(1, at(1500, 10)),
    told(1, at(1500, 10)),
    told(2, at(0, 0)),
    told(2, at(7, 0)),
  ]);
  assert.deepEqual([tally.sent.entries, tally.received.entries], [[["wifi", 507]], [["wifi", 10]]]);
  tally.take({ type: "disconnected" } as Change);
  tally.take({ type: "connected", isLimited: false });
  tally.take(told(1, at(9000, 10)));
  assert.deepEqual(tally.sent.entries, [["wifi", 507]], "what the next daemon tells first is no news");
});

test("metrics: however many connections, interfaces and names there are, series are few", () => {
  const changes = Array.from({ length: 5000 }, (_, token) =>
    told(token, [subflow(`10.${token >> 8}.${token & 255}.1`, { bytesSent: 0 })], { policy: `own ${token}` }),
  );
  const tally = counted([...changes, ...Array.from({ length: 500 }, (_, errno) => closed(errno, errno))]);
  const series = text(tally)
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  assert.ok(series.length < 4 * INTERFACES_MAX + 100, `${series.length}`);
  assert.ok(series.some((line) => line.startsWith('subflow_subflows{interface="other"')));
});

test("metrics: both formats name a family as they should; labels are escaped", () => {
  const family = {
    name: "a_b",
    type: "counter",
    help: "x\\y\nz",
    samples: [{ labels: { l: 'q"\\\n' }, value: 1 }],
  } as const;
  assert.equal(
    exposition([family], "openmetrics"),
    '# TYPE a_b counter\n# HELP a_b x\\\\y\\nz\na_b_total{l="q\\"\\\\\\n"} 1\n# EOF\n',
  );
  assert.match(exposition([family], "text"), /^# TYPE a_b_total counter\n# HELP a_b_total .*\na_b_total\{/);
  assert.equal(exposition([{ ...family, samples: [] }], "text"), "");
});

test("metrics: without a daemon little is said, and nothing that is not known", () => {
  const tally = new Tally(() => undefined);
  const shown = exposition(families({ tally, hello: undefined, counters: {}, fallen: NONE }), "text");
  assert.match(shown, /^subflow_daemon_up 0$/m);
  assert.doesNotMatch(shown, /subflow_connections|NaN|undefined/);
  const limited = { version: "1", pathManager: "kernel", policy: "" } as unknown as ControlHello;
  assert.doesNotMatch(
    exposition(families({ tally, hello: limited, counters: {}, fallen: NONE }), "text"),
    /NaN|undefined/,
  );
});

const NONE = { handshake: undefined, later: 0 } as const;

test("metrics: sockets are listed only where some may have fallen back, seldom, and each counts once", () => {
  let [now, lists] = [0, 0];
  let found: FallenConnection[] | undefined = [];
  const fallen = new Fallen(
    () => {
      lists++;
      if (!found) throw new UnsupportedError("not here");
      return found;
    },
    () => now,
  );
  const counters = { MPCapableFallbackSYNACK: 0, MPCapableSYNTX: 9 };
  assert.deepEqual(fallen.count(counters, []), { handshake: 0, later: 0 });
  assert.equal(lists, 0, "nothing fell back");
  counters.MPCapableFallbackSYNACK = 2;
  found = [
    { token: 1, uid: 0, at: "handshake" },
    { token: 2, uid: 7, at: "handshake" },
    { token: 3, uid: 7, at: "later" },
  ];
  // The daemon saw 1 when it began, and 4 before this was listed.
  assert.deepEqual(fallen.count(counters, [1, 3, 4]), { handshake: 2, later: 2 });
  assert.deepEqual(fallen.count(counters, [3], 7), { handshake: 1, later: 1 });
  assert.equal(lists, 1, "it was listed a moment ago");
  found = [];
  now += 5000;
  assert.deepEqual(fallen.count(counters, []), { handshake: 0, later: 0 }, "they ended");
  now += 5000;
  fallen.count(counters, []);
  assert.equal(lists, 2, "there are none, and no new ones");
  counters.MPCapableFallbackSYNACK = 3;
  found = undefined;
  assert.deepEqual(fallen.count(counters, [5]), { handshake: undefined, later: 1 }, "a kernel that does not tell");
});

/** Samples that there are, by name, with the labels that they have. */
function labelsOf(shown: string): Map<string, Set<string>> {
  const known = new Map<string, Set<string>>();
  for (const [, name, labels = ""] of shown.matchAll(/^(subflow_\w+)(?:\{(.*)\})? /gm)) {
    const names = known.get(name!) ?? new Set(["instance"]);
    for (const [, label] of labels.matchAll(/(\w+)="/g)) names.add(label!);
    known.set(name!, names);
  }
  return known;
}

/** Of an expression: what it asks for that there is not. */
function askedInVain(expression: string, known: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const found: string[] = [];
  const labels = new Set<string>();
  for (const [, name, selector = ""] of expression.matchAll(/\b(subflow_\w+)(?:\{([^}]*)\})?/g)) {
    const has = known.get(name!);
    if (!has) found.push(name!);
    for (const label of has ?? []) labels.add(label);
    for (const [, label] of selector.matchAll(/(\w+)\s*(?:=|!)/g))
      if (!has?.has(label!)) found.push(`${name}{${label}}`);
  }
  assert.ok(labels.size > 0, expression);
  for (const [, list] of expression.matchAll(/\b(?:by|on|without|ignoring) ?\(([^)]*)\)/g)) {
    for (const label of list!.split(",").map((each) => each.trim()))
      if (!labels.has(label)) found.push(`by (${label})`);
  }
  return found;
}

test("metrics: alert rules and dashboard ask for what there is", () => {
  const everything = counted([
    told(1, [subflow("10.0.1.1")]),
    told(1, [subflow("10.0.1.1", { bytesSent: 1, bytesReceived: 1 })]),
    { type: "event", event: { kind: "event", type: "subflow.closed", errno: 0, resetReason: 6 } } as Change,
    { type: "decision", decision: { type: "subflow.create" } } as Change,
  ]);
  const known = labelsOf(text(everything, "text"));
  const rules = readFileSync(join(contrib, "prometheus/alerts.yaml"), "utf8");
  const alerts = [...rules.matchAll(/^ +expr: (.*)$/gm)].map(([, expression]) => expression!);
  const { panels } = JSON.parse(readFileSync(join(contrib, "grafana/subflow.json"), "utf8")) as Dashboard;
  const targets = panels.flatMap((panel) => panel.targets);
  assert.ok(alerts.length > 10 && targets.length > 20, `${alerts.length} ${targets.length}`);
  for (const expression of [...alerts, ...targets.map(({ expr }) => expr)]) {
    assert.deepEqual(askedInVain(expression, known), [], expression);
  }
  for (const { expr, legendFormat } of targets) {
    const names = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name!);
    const has = new Set([...expr.matchAll(/subflow_\w+/g)].flatMap(([name]) => [...(known.get(name) ?? [])]));
    assert.deepEqual(
      names.filter((name) => !has.has(name)),
      [],
      `${legendFormat} of ${expr}`,
    );
  }
  const places = panels.map(({ gridPos: { x, y } }) => `${x} ${y}`);
  assert.equal(new Set(places).size, places.length, "no panel lies upon another");
  // What there is not would be seen.
  assert.deepEqual(askedInVain("rate(subflow_evnts_total[1m]) + subflow_subflows", known), ["subflow_evnts_total"]);
  assert.deepEqual(askedInVain('sum by (dev) (subflow_subflows{iface="a"})', known), [
    "subflow_subflows{iface}",
    "by (dev)",
  ]);
});

interface Dashboard {
  readonly panels: readonly {
    readonly gridPos: { readonly x: number; readonly y: number };
    readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
}
