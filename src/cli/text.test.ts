import assert from "node:assert/strict";
import { test } from "node:test";
import { standingOf } from "../doctor/index.ts";
import type { ConnectionSnapshot } from "../engine/index.ts";
import type { Address, Connection, Endpoint, MptcpEvent } from "../types/index.ts";
import { warnings } from "./commands/endpoint-add.ts";
import { endpointJson, endpointLine } from "./endpoint-text.ts";
import { machine, Named, renderJson } from "./json.ts";
import { clipped, columns, tableLines, wrapped } from "./layout.ts";
import { eventJson, eventLine } from "./monitor/monitor-text.ts";
import { bufferStreams, painter } from "./streams.ts";
import { formatBytes, formatMicros } from "./units.ts";
import { type Explanation, explanationText } from "./why-text.ts";

const name = (index: number): string => (index === 2 ? "eth0" : `if${index}`);
const plain = painter(false);

const bare: Endpoint = { id: 1, address: "10.0.0.1" as Address, port: 0, flags: 0, interfaceIndex: 0 };

for (const [endpoint, line, json] of [
  [bare, "10.0.0.1 id 1 \n", '{"address":"10.0.0.1","id":1}'],
  [
    { ...bare, port: 8080, id: 7, flags: 1, interfaceIndex: 2 },
    "10.0.0.1 port 8080 id 7 signal dev eth0 \n",
    '{"address":"10.0.0.1","port":8080,"id":7,"signal":true,"dev":"eth0"}',
  ],
  [
    { ...bare, flags: 0x42, interfaceIndex: 3 },
    "10.0.0.1 id 1 subflow rawflags 40 dev if3 \n",
    '{"address":"10.0.0.1","id":1,"subflow":true,"rawflags":"40","dev":"if3"}',
  ],
] as const) {
  test(`an endpoint as iproute2 prints it: ${line.trim()}`, () => {
    assert.equal(endpointLine(endpoint, name, plain), line);
    assert.equal(renderJson(endpointJson(endpoint, name), false), `${json}\n`);
  });
}

test("colour marks addresses and interfaces as ip -color does", () => {
  const line = endpointLine({ ...bare, interfaceIndex: 2 }, name, painter(true));
  assert.equal(line, "\u001b[35m10.0.0.1\u001b[0m id 1 dev \u001b[36meth0\u001b[0m \n");
});

test("pretty JSON has the white space of iproute2", () => {
  const value = [{ address: "10.0.0.1", id: 1 }, { id: 2 }];
  const expected = '[ {\n        "address": "10.0.0.1",\n        "id": 1\n    },{\n        "id": 2\n    } ]\n';
  assert.equal(renderJson(value, true), expected);
  assert.equal(renderJson([], true), "[ ]\n");
  assert.deepEqual(JSON.parse(renderJson(value, true)), value);
});

const event: MptcpEvent = {
  type: 10,
  token: 0x54ad4ef,
  family: 2,
  localAddress: "10.0.2.1" as Address,
  localPort: 46283,
  remoteAddress: "10.0.1.1" as Address,
  remotePort: 5000,
  localId: 1,
  remoteId: 0,
  backup: 0,
  error: undefined,
  flags: undefined,
  timeout: undefined,
  interfaceIndex: undefined,
  resetReason: undefined,
  resetFlags: undefined,
  serverSide: undefined,
  unknown: [],
};
const ends = "saddr4=10.0.2.1 daddr4=10.0.1.1 sport=46283 dport=5000";

for (const [what, change, line] of [
  ["a join", {}, `[  SF_ESTABLISHED] token=054ad4ef remid=0 locid=1 ${ends} backup=0`],
  [
    "a reset on a bound interface",
    { type: 11, error: 104, interfaceIndex: 2, resetReason: 3, resetFlags: 1 },
    `[       SF_CLOSED] token=054ad4ef remid=0 locid=1 ${ends} backup=0 error=104 ifindex=2 dev=eth0 reset_reason=3 reset_flags=0x1`,
  ],
  [
    "flags of Linux 6.18, one of them unknown",
    { type: 1, backup: undefined, flags: 7 },
    `[         CREATED] token=054ad4ef remid=0 locid=1 ${ends} server_side deny_join_id0 flags=0x4`,
  ],
  [
    "the server_side attribute of older kernels",
    { type: 1, backup: undefined, serverSide: 1 },
    `[         CREATED] token=054ad4ef remid=0 locid=1 ${ends} server_side`,
  ],
  ["an event of the future", { type: 17 }, "[UNKNOWN 17]"],
] as const) {
  test(`monitor prints ${what}`, () => assert.equal(eventLine({ ...event, ...change }, name, plain), `${line}\n`));
}

test("monitor prints one JSON value a line, with iproute2's keys", () => {
  const line = renderJson(eventJson({ ...event, flags: 2, resetFlags: 0 }, name), false);
  assert.equal(
    line,
    '{"event":"SF_ESTABLISHED","token":"0x54ad4ef","remid":0,"locid":1,"saddr4":"10.0.2.1","daddr4":"10.0.1.1",' +
      '"sport":46283,"dport":5000,"backup":0,"reset_flags":"0","server_side":true}\n',
  );
});

test("a v4-mapped address of a dual-stack server is an IPv6 one", () => {
  const mapped = { ...event, localAddress: "::ffff:10.0.2.1" as Address };
  assert.match(eventLine(mapped, name, plain), / daddr4=10\.0\.1\.1 saddr6=::ffff:10\.0\.2\.1 /);
});

test("bytes and times keep three digits", () => {
  assert.deepEqual([0, 999, 1000, 1234, 9949, 9951, 999_499, 999_501, 35e6, 1.2e18].map(formatBytes), [
    "0 B",
    "999 B",
    "1.0 kB",
    "1.2 kB",
    "9.9 kB",
    "10 kB",
    "999 kB",
    "1.0 MB",
    "35 MB",
    "1200 PB",
  ]);
  assert.deepEqual([0, 40, 12_300, 250_000].map(formatMicros), ["?", "0.04 ms", "12.3 ms", "250 ms"]);
});

test("what the kernel takes in silence and is seldom meant is said", () => {
  const interfaces = { holder: (address: Address) => (address === "10.0.0.1" ? 2 : undefined), name };
  const words = { address: "10.0.0.1" as Address, id: undefined, port: undefined, flags: 2, interfaceIndex: 2 };
  const said = (change: Partial<typeof words>): string => warnings({ ...words, ...change }, interfaces).join("; ");
  assert.equal(said({}), "");
  assert.match(said({ flags: 0 }), /neither announced nor used/);
  assert.match(said({ interfaceIndex: undefined as unknown as number }), /without "dev eth0"/);
  assert.match(said({ interfaceIndex: 3 }), /belongs to eth0, not to if3/);
  assert.match(said({ address: "10.9.9.9" as Address }), /no interface has/);
});

const end = { address: "10.0.0.1" as Address, port: 1 };
const snapshot: ConnectionSnapshot = {
  token: 0xabc,
  side: "client",
  initial: { local: end, remote: end },
  ...{ established: true, denyJoinId0: false, owned: true, policy: "own", rule: "" },
  ...{ subflows: [], remotes: [], announced: [], attempts: [], planRefused: "" },
};

function explained(more: Partial<Explanation>, width?: number): string {
  const nothing = { connection: snapshot, leftOut: [], standing: [], pathManager: "userspace" as const };
  return explanationText({ ...nothing, ...more }, bufferStreams(width === undefined ? {} : { width }));
}

test("why: a refused plan is told, and nobody claims that nothing is left out", () => {
  const lines = explained({ connection: { ...snapshot, planRefused: "TypeError: no" } }).split("\n");
  const refused = "  The policy's last plan was refused, and what there was stays: TypeError: no";
  assert.deepEqual(lines.slice(1), [refused, ""]);
  assert.match(explained({}), /Nothing is left out/);
});

test("why: what a policy holds against a path stands behind its subflow", () => {
  const ids = { localId: 0, remoteId: 0, join: false, initiated: true, backup: true, backupByPeer: false };
  const path = { local: end, remote: { address: "10.0.9.1" as Address, port: 443 } };
  const objection = "its Wi-Fi signal is -84 dBm, below -80";
  const subflows = [{ state: "established", path, ...ids, objection }] as const;
  const text = explained({ connection: { ...snapshot, subflows } });
  assert.match(text, /\(initial, backup, established\): its Wi-Fi signal is -84 dBm, below -80\n/);
});

const alive = { state: "established", subflows: [{ state: "established" }], fallback: false } as unknown as Connection;
for (const [what, connection, steering, answer] of [
  [
    "fell back",
    { fallback: true },
    { daemon: "userspace", isManaged: true },
    /This connection fell back to plain TCP\./,
  ],
  [
    "has no subflow",
    { subflows: [] },
    { daemon: "userspace", isManaged: true },
    /has no subflow left\. Nothing can be/,
  ],
  [
    "has a SYN only",
    { subflows: [{ state: "syn-sent" }] },
    { daemon: "userspace", isManaged: true },
    /no subflow left/,
  ],
  ["is nobody's", {}, { daemon: undefined, isManaged: undefined }, /and no Subflow daemon answers here\./],
  ["is not the daemon's", {}, { daemon: "userspace", isManaged: false }, /is not managed by the Subflow daemon\./],
  ["came under another", {}, { daemon: "kernel", isManaged: undefined }, /looks after the in-kernel one\./],
] as const) {
  test(`why: a connection that ${what} gets its own true answer`, () => {
    const seen = { ...alive, pathManager: "userspace", ...connection } as unknown as Connection;
    const text = explained({ standing: standingOf(seen, steering) });
    assert.match(text, answer);
    assert.doesNotMatch(text, /Nothing is left out/);
    assert.ok(
      explained({ standing: standingOf(seen, steering) }, 40)
        .split("\n")
        .every((line) => line.length <= 40),
    );
  });
}

test("why: nothing stands against a connection that the daemon has", () => {
  const seen = { ...alive, pathManager: "userspace" } as Connection;
  assert.deepEqual(standingOf(seen, { daemon: "userspace", isManaged: true }), []);
  assert.deepEqual(standingOf({ ...seen, pathManager: "kernel" }, { daemon: "kernel", isManaged: undefined }), []);
  assert.deepEqual(standingOf({ ...seen, pathManager: undefined }, { daemon: undefined, isManaged: undefined }), []);
});

test("for programs: one case of keys, one form of tokens, and names as they are", () => {
  const value = { token: 0xabc, addAddrAccepted: 1, sysctls: new Map([["net.aB", { rttVar: 2 }]]), gone: undefined };
  assert.deepEqual(machine({ ...value, counters: new Named({ MPJoinSynRx: 3 }), list: [new Set([{ token: 1 }])] }), {
    token: "00000abc",
    add_addr_accepted: 1,
    sysctls: { "net.aB": { rtt_var: 2 } },
    counters: { MPJoinSynRx: 3 },
    list: [[{ token: "00000001" }]],
  });
});

test("a narrow terminal gets lines that fit, with nothing lost but blanks", () => {
  const text = `  ${plain("good", "yes")}  one two three four five six seven eight nine ten`;
  for (let width = 12; width < 60; width++) {
    const lines = wrapped(text, width, 7);
    assert.ok(
      lines.every((line) => columns(line) <= width),
      `${width}: ${lines.join("|")}`,
    );
    assert.deepEqual(lines.join(" ").split(/ +/), text.split(/ +/));
  }
  const rows = [
    ["name", "12", "a meaning that is rather long for a line of a narrow terminal"],
    ["another_name_of_some_length", "1", "short"],
  ] as const;
  for (const width of [40, 50, 60, 80, 200]) {
    const lines = tableLines(rows, width);
    assert.ok(lines.every((line) => line.length <= width));
    assert.deepEqual(lines.join(" ").split(/ +/).filter(Boolean), rows.flat().join(" ").split(" "));
  }
  assert.equal(clipped("\u001b[31mabcdef\u001b[0m", 3), "\u001b[31mabc\u001b[0m");
});
