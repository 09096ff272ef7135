import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Happening, WatchedConnection, WatchedSubflow } from "../../types/index.ts";
import { happeningWords } from "../happening-words.ts";
import { columns } from "../layout.ts";
import { painter } from "../streams.ts";
import { elapsed } from "./cells.ts";
import { History } from "./history.ts";
import { type Around, type Key, pressed } from "./keys.ts";
import { pageLength, picture } from "./screen.ts";
import { FIRST_VIEW, listed, troubleCount, troublesOf, type View, type World } from "./state.ts";

const QUIET = { rtt: 12, rttVar: 1, lost: 0, unacked: 0, retransmits: 0, bytesSent: 0, bytesReceived: 0, sinceAck: 0 };

function subflow(address: string, more: Partial<WatchedSubflow> = {}): WatchedSubflow {
  const path = { local: { address, port: 1000 }, remote: { address: "10.0.9.1", port: 443 } };
  const standing = { backup: false, backupByPeer: false, held: false, quarantined: false, isProbe: false };
  const facts = { path, localId: 0, remoteId: 0, join: true, initiated: true, state: "established", interfaceIndex: 0 };
  return { ...facts, ...standing, ...QUIET, sendRate: 0, receiveRate: 0, ...more } as WatchedSubflow;
}

function connection(
  token: number,
  subflows: WatchedSubflow[],
  more: Partial<WatchedConnection> = {},
): WatchedConnection {
  const { path } = subflow("10.0.1.1");
  const known = {
    side: "client",
    initial: path,
    established: true,
    pathManager: "userspace",
    fallback: false,
    uid: 1000,
  };
  const figures = { measuredAt: 0, bytesSent: 0, bytesReceived: 0, sendRate: 0, receiveRate: 0 };
  return { token, ...known, policy: "resilient", ...figures, subflows, ...more } as WatchedConnection;
}

const CONNECTIONS = [
  connection(1, [subflow("10.0.1.1"), subflow("10.0.2.1", { backup: true })], { sendRate: 5000 }),
  connection(2, [subflow("10.0.2.1", { lost: 7, retransmits: 99 })], { side: "server", receiveRate: 9000 }),
  connection(3, [], { fallback: true, policy: undefined, pathManager: "kernel" }),
];
const CLOSED: Happening = {
  kind: "event",
  at: 0,
  type: "subflow.closed",
  token: 1,
  path: subflow("10.0.2.1").path,
  localId: 2,
  remoteId: 0,
  errno: 110,
  resetReason: 6,
};

function world(more: Partial<World> = {}): World {
  return {
    connections: new Map(CONNECTIONS.map((each) => [each.token, each])),
    timeline: (token) => (token === 1 ? [{ happening: CLOSED, at: 1000 }] : []),
    rates: () => [],
    rtts: () => [],
    sparkline: (_key, width) => "▁▂▃▄▅▆▇█▇▆▅▄".slice(0, width),
    interfaceOf: ({ address }) => ({ "10.0.1.1": "wifi", "10.0.2.1": "cellular" })[address as string],
    why: () => [{ what: "subflow fd00::1", reason: "not of the address family of the peer's address" }],
    who: "userspace path manager, resilient",
    missing: [],
    now: 4000,
    ...more,
  };
}

const view = (more: Partial<View>): View => ({ ...FIRST_VIEW, ...more });
const plain = painter(false);
const tokens = (of: Partial<View>): number[] => listed(world(), view(of)).map(({ token }) => token);

for (const width of [20, 40, 52, 66, 80, 100, 200]) {
  test(`top: no line is longer than the terminal, and none is missing, at ${width} columns`, () => {
    for (const height of [5, 24]) {
      for (const of of [
        {},
        { opened: 1 },
        { opened: 2 },
        { opened: 9 },
        { showsHelp: true },
        { selected: 2, isTyping: true },
      ]) {
        const shown = picture(world({ missing: ["No daemon answers here."] }), view(of), {
          width,
          height,
          paint: painter(true),
        });
        assert.equal(shown.length, height);
        for (const line of shown) assert.ok(columns(line) <= width, `${columns(line)}: ${line}`);
      }
    }
  });
}

test("top: troubles are as many as they have words", () => {
  const figures = fc.record({
    ...{ held: fc.boolean(), quarantined: fc.boolean(), state: fc.constantFrom("established", "closing") },
    ...{ lost: fc.nat(2), unacked: fc.nat(2), sinceAck: fc.constantFrom(0, 1000, 1001) },
  });
  fc.assert(
    fc.property(figures, (some) => {
      const subflow = some as unknown as WatchedSubflow;
      assert.equal(troubleCount(subflow), troublesOf(subflow).length);
    }),
  );
});

test("top: at 80 columns a connection shows its rates, and each subflow its interface, time and marks", () => {
  const shown = picture(world(), view({ selected: 1 }), { width: 80, height: 24, paint: plain }).join("\n");
  assert.match(shown, /3 connections, 3 subflows/);
  assert.match(shown, /sent 5\.0 kB\/s, received 9\.0 kB\/s/);
  assert.match(shown, /00000001 → 10\.0\.9\.1:443 ×2 +5\.0kB/);
  assert.match(shown, /policy resilient {2}3\.0 s ago: subflow over cellular closed/);
  assert.match(shown, /└ b cellular 10\.0\.2\.1 → 10\.0\.9\.1/);
  assert.match(shown, /00000002 ← 10\.0\.9\.1:443 ×1 +9\.0kB/);
  assert.match(shown, /└ ! cellular .* 12\.0 ms +99/);
});

test("top: sorted, filtered, searched", () => {
  assert.deepEqual(tokens({}), [2, 1, 3]);
  assert.deepEqual(tokens({ isReversed: true }), [3, 1, 2]);
  assert.deepEqual(tokens({ sort: "trouble" }), [3, 2, 1], "one without a subflow is worst");
  assert.deepEqual(tokens({ sort: "subflows" }), [1, 2, 3]);
  assert.deepEqual(tokens({ filter: "trouble" }), [2, 3]);
  assert.deepEqual(tokens({ filter: "several subflows" }), [1]);
  assert.deepEqual(tokens({ filter: "server" }), [2]);
  assert.deepEqual(tokens({ search: "WIFI" }), [1]);
  assert.deepEqual(tokens({ search: "0000003" }), [3]);
  assert.deepEqual(tokens({ search: "resil" }), [2, 1]);
  const none = picture(world(), view({ search: "nothing" }), { width: 80, height: 10, paint: plain }).join("\n");
  assert.match(none, /None of 3 connections is found with "nothing"/);
});

const AROUND: Around = { list: listed(world(), FIRST_VIEW), page: 2, mayControl: true };

/** The view after these keys: characters, and names in brackets. */
function after(keys: string, from: Partial<View> = {}, around: Partial<Around> = {}) {
  let outcome: ReturnType<typeof pressed> = { view: view(from) };
  for (const [key] of keys.matchAll(/<\w+>|./g)) {
    const name = key.startsWith("<") ? key.slice(1, -1) : undefined;
    const pressedKey: Key = name ? { name } : { name: /[a-z]/.test(key) ? key : undefined, text: key };
    outcome = pressed(outcome.view, pressedKey, { ...AROUND, ...around });
  }
  return outcome;
}

test("top: keys choose, open, search, and leave", () => {
  assert.equal(after("j").view.selected, 2);
  assert.equal(after("jj").view.selected, 1);
  assert.equal(after("G").view.selected, 3);
  assert.equal(after("Gg").view.selected, 2);
  assert.equal(after("<down><down><pageup>").view.selected, 2);
  assert.equal(after("j<return>").view.opened, 2);
  assert.equal(after("j<return><escape>").view.opened, undefined);
  assert.deepEqual(
    [after("s").view.sort, after("f").view.filter, after("r").view.isReversed],
    ["trouble", "trouble", true],
  );
  assert.equal(after("/wix<backspace>fi<return>q").view.search, "wifi");
  assert.equal(after("/q").isEnd, undefined, "a letter of the search");
  assert.equal(after("/abc<escape>").view.search, "");
  assert.equal(after("q").isEnd, true);
  assert.equal(after("<return>q").isEnd, undefined, "back to the list");
  assert.equal(pressed(view({ isTyping: true }), { name: "c", ctrl: true }, AROUND).isEnd, true);
  assert.equal(after("?").view.showsHelp, true);
  assert.equal(after("?x").view.showsHelp, false);
  assert.equal(after("p").view.isPaused, true);
  assert.equal(after("t").view.showsSubflows, false);
  assert.equal(after("j", {}, { list: [] }).view.selected, undefined);
});

test("top: deeds are asked about, refused without --control, and never end a connection", () => {
  const asked = after("<down>b", { opened: 1 });
  assert.deepEqual([asked.view.asks?.type, asked.deed], ["nobackup", undefined]);
  assert.deepEqual(after("<down>by", { opened: 1 }).deed?.type, "nobackup");
  assert.equal(after("bn", { opened: 1 }).deed, undefined);
  assert.equal(after("bn", { opened: 1 }).view.said, "not done");
  assert.equal(after("xy", { opened: 1 }).deed?.type, "close");
  assert.match(after("x", { opened: 2 }).view.said, /last subflow/);
  assert.equal(after("xy", { opened: 2 }).deed, undefined);
  assert.match(after("b", { opened: 1 }, { mayControl: false }).view.said, /--control/);
  assert.equal(after("by", { opened: 1 }, { mayControl: false }).deed, undefined);
  const list = [connection(1, [subflow("10.0.1.1"), subflow("10.0.2.1")], { pathManager: "kernel" })];
  assert.match(after("b", { opened: 1 }, { list }).view.said, /in-kernel path manager/);
});

test("top: a page shows the subflows, why there are no others, and the timeline in words", () => {
  const shown = picture(world(), view({ opened: 1 }), { width: 100, height: 40, paint: plain }).join("\n");
  assert.match(shown, /00000001 {2}client {2}userspace path manager {2}policy resilient {2}user 1000/);
  assert.match(shown, /cellular {2}10\.0\.2\.1:1000 → 10\.0\.9\.1:443 {2}id 0→0/);
  assert.match(shown, /no subflow fd00::1: not of the address family/);
  assert.match(
    shown,
    /3\.0 s ago {2}subflow over cellular closed: .*, connection timed out; the\s+peer says: a middlebox/s,
  );
  const over = picture(world(), view({ opened: 77 }), { width: 80, height: 10, paint: plain }).join("\n");
  assert.match(over, /Connection 0000004d is over/);
  assert.equal(pageLength({ width: 80, height: 24, paint: plain }), 18);
});

test("top: however many there are, only what is shown is drawn, and the chosen one is among it", () => {
  const many = new Map(Array.from({ length: 10_000 }, (_, token) => [token, connection(token, [subflow("10.0.1.1")])]));
  let asked = 0;
  const timeline = (): [] => {
    asked++;
    return [];
  };
  const lines = picture(world({ connections: many, timeline }), view({ selected: 7777 }), {
    width: 80,
    height: 24,
    paint: plain,
  });
  assert.ok(lines.some((line) => line.startsWith("00001e61")));
  assert.ok(asked < 30, `${asked}`);
});

test("top: a sparkline shows the last values against their largest; what is gone is forgotten", () => {
  const history = new History();
  for (const value of [0, 1, 50, 100]) history.push("a", value);
  assert.equal(history.sparkline("a", 6), "   ▁▄█");
  assert.equal(history.sparkline("b", 3), "   ");
  for (let round = 0; round < 1000; round++) history.push("a", round);
  assert.equal(history.sparkline("a", 100).trim().length, 60);
  history.push("b", 1);
  history.keep((key) => key === "b");
  assert.equal(history.size, 1);
});

test("happenings in words: interface, ends, errno, the peer's reason, what led to a decision", () => {
  const interfaceOf = (local: { address: string }): string | undefined =>
    local.address === "10.0.2.1" ? "cellular" : undefined;
  const { path } = subflow("10.0.2.1");
  const words = (happening: object): string =>
    happeningWords({ at: 0, token: 1, ...happening } as Happening, interfaceOf);
  const event = (type: string, more: object): string => words({ kind: "event", type, ...more });
  const decision = (type: string, more: object): string =>
    words({ kind: "decision", type, because: "the network has changed", text: type, ...more });
  for (const [said, expected] of [
    [event("connection.created", { path }), "a connection begins: 10.0.2.1:1000 → 10.0.9.1:443"],
    [event("connection.closed", {}), "the connection is over"],
    [event("subflow.closed", { path }), "subflow over cellular closed: 10.0.2.1:1000 → 10.0.9.1:443"],
    [event("subflow.closed", { path, errno: 104 }), /, connection reset by peer$/],
    [event("subflow.closed", { path, resetReason: 3 }), /, the peer says: administratively prohibited$/],
    [event("subflow.closed", { path, resetReason: 77 }), /, the peer says: reason 77$/],
    [
      event("subflow.established", { path, backup: true }),
      /^subflow over cellular established: .*, the peer wants it as backup$/,
    ],
    [event("subflow.priority", { path, backup: false }), /^the peer makes the subflow over cellular a normal one/],
    [event("address.announced", { address: "10.0.3.1", port: 0, remoteId: 4 }), "the peer announces 10.0.3.1 (id 4)"],
    [event("address.removed", { remoteId: 4 }), "the peer takes its address with id 4 back"],
    [event("something.new", {}), "something.new"],
    [
      decision("subflow.create", { local: { address: "10.0.2.1", port: 0 }, remote: path.remote, backup: true }),
      "we open a subflow over cellular: 10.0.2.1 → 10.0.9.1:443 as backup, because: the network has changed",
    ],
    [decision("subflow.destroy", path), /^we close the subflow over cellular/],
    [decision("subflow.setBackup", { ...path, backup: false }), /^we make the subflow over cellular a normal one/],
    [
      decision("address.announce", { local: { address: "10.0.2.1", port: 0 }, localId: 2 }),
      /^we announce 10\.0\.2\.1 \(id 2\)/,
    ],
    [decision("address.remove", { localId: 2 }), /^we take our address with id 2 back/],
  ] as const) {
    if (typeof expected === "string") assert.equal(said, expected);
    else assert.match(said, expected);
  }
});

test("elapsed time is said as shortly as it is meant", () => {
  assert.deepEqual([0, 1234, 59_000, 120_000, 7_200_000, -5].map(elapsed), [
    "0.0 s",
    "1.2 s",
    "59 s",
    "2 min",
    "2 h",
    "0.0 s",
  ]);
});
