import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, type Connection, type Endpoint, type SubflowInfo, unmap } from "../types/index.ts";
import { connectionTree } from "./connections-text.ts";
import { CommandError } from "./failure.ts";
import type { Interfaces } from "./interfaces.ts";
import { localChoice, localIdOf, remoteIdOf, selectSubflows, steerableConnection } from "./selection.ts";
import { painter } from "./streams.ts";

const at = (address: string, port: number) => ({ address: address as Address, port });

function subflow(local: [string, number], remote: [string, number], more: Partial<SubflowInfo> = {}): SubflowInfo {
  return {
    path: { local: at(...local), remote: at(...remote) },
    state: "established",
    localId: 0,
    remoteId: 0,
    join: true,
    initiated: true,
    backupLocal: false,
    backupRemote: false,
    fullyEstablished: true,
    ulpFlags: 0,
    interfaceIndex: 0,
    rtt: 12_300,
    rttVar: 0,
    rto: 204_000,
    cwnd: 10,
    mss: 1448,
    lost: 0,
    retransmits: 0,
    bytesSent: 1500,
    bytesAcked: 1500,
    bytesReceived: 0,
    bytesRetransmitted: 0,
    uid: 0,
    inode: 0,
    ...more,
  };
}

const connection: Connection = {
  token: 0x1b2c,
  state: "established",
  path: { local: at("::ffff:10.0.1.1", 4000), remote: at("::ffff:10.0.9.9", 443) },
  side: "client",
  pathManager: "userspace",
  fallback: false,
  localAddresses: undefined,
  remoteKeyReceived: true,
  checksum: false,
  extraSubflows: 2,
  subflowsTotal: 3,
  addAddrSignaled: 0,
  addAddrAccepted: 0,
  bytesSent: 3000,
  bytesReceived: 0,
  bytesAcked: 0,
  bytesRetransmitted: 0,
  retransmits: 0,
  uid: 0,
  inode: 0,
  cgroup: undefined,
  subflows: [
    subflow(["::ffff:10.0.1.1", 4000], ["::ffff:10.0.9.9", 443], { join: false }),
    subflow(["10.0.2.1", 4001], ["10.0.9.9", 443], { localId: 2, backupLocal: true }),
    subflow(["10.0.2.1", 4002], ["10.0.8.8", 443], { localId: 2, remoteId: 5, state: "syn-sent", rtt: 0 }),
  ],
};

const table: Record<string, { index: number; addresses: string[] }> = {
  eth0: { index: 2, addresses: ["10.0.1.1"] },
  wlan0: { index: 3, addresses: ["fe80::1", "2001:db8::3", "10.0.2.1"] },
  tun0: { index: 4, addresses: ["2001:db8::4"] },
};
const interfaces = {
  index: (name: string) => table[name]?.index,
  holder: (address: Address) => Object.values(table).find((entry) => entry.addresses.includes(unmap(address)))?.index,
  addressesOf: (index: number) => Object.values(table).find((entry) => entry.index === index)?.addresses ?? [],
} as unknown as Interfaces;

const select = (words: string, all = false): number[] =>
  selectSubflows(connection, words === "" ? [] : words.split(" "), { all, interfaces }).map(
    ({ path }) => path.local.port,
  );

test("a subflow is found by address, port, interface and remote; v4-mapped or not", () => {
  assert.deepEqual(select("10.0.1.1"), [4000]);
  assert.deepEqual(select("10.0.2.1:4002"), [4002]);
  assert.deepEqual(select("wlan0 10.0.8.8"), [4002]);
  assert.deepEqual(select("wlan0 10.0.9.9:443"), [4001]);
  assert.deepEqual(select("wlan0", true), [4001, 4002]);
  assert.deepEqual(select("", true), [4000, 4001, 4002]);
});

for (const [words, exitStatus, message] of [
  ["wlan0", 255, /2 subflows match.*--all/s],
  ["", 255, /LOCAL/],
  ["10.0.3.1", 2, /no subflow 10\.0\.3\.1/],
  ["eth9", 255, /neither an address nor an interface/],
  ["eth0 somewhere", 255, /address is expected/],
  ["eth0 10.0.9.9 443", 255, /no more/],
] as const) {
  test(`no subflow for "${words}"`, () => {
    assert.throws(
      () => select(words),
      (error) => error instanceof CommandError && error.exitStatus === exitStatus && message.test(error.message),
    );
  });
}

test("ids: 0 for the initial address, the known one, or the lowest that nothing uses", () => {
  const known = [{ id: 1, address: "10.0.5.5" as Address, port: 0, flags: 0, interfaceIndex: 0 }] as Endpoint[];
  assert.equal(localIdOf("10.0.1.1" as Address, connection, known), 0);
  assert.equal(localIdOf("10.0.5.5" as Address, connection, known), 1);
  assert.equal(localIdOf("10.0.6.6" as Address, connection, known), 3);
  assert.equal(remoteIdOf("10.0.9.9" as Address, connection), 0);
  assert.equal(remoteIdOf("10.0.8.8" as Address, connection), 5);
  assert.equal(remoteIdOf("10.0.7.7" as Address, connection), undefined);
});

test("an interface stands for its first address of the connection's family", () => {
  assert.deepEqual(localChoice("wlan0", connection, interfaces), { ...at("10.0.2.1", 0), interfaceIndex: 3 });
  assert.deepEqual(localChoice("10.0.2.1:9", connection, interfaces), {
    ...at("10.0.2.1", 9),
    interfaceIndex: undefined,
  });
  assert.throws(() => localChoice("tun0", connection, interfaces), /no address that connection could use/);
});

test("a connection of the other path manager, or of nobody, is refused with status 2", () => {
  const known = [connection, { ...connection, token: 7, pathManager: "kernel" as const }];
  const source = { connection: (token: number) => known.find((each) => each.token === token) };
  assert.equal(steerableConnection(source, 0x1b2c), connection);
  for (const [token, message] of [
    [7, /in-kernel path manager/],
    [8, /no connection has the token 00000008/],
  ] as const) {
    assert.throws(
      () => steerableConnection(source, token),
      (error) => error instanceof CommandError && error.exitStatus === 2 && message.test(error.message),
    );
  }
});

test("the tree aligns the subflows of a connection and says whose wish a backup is", () => {
  const names = new Map([
    [4000, "eth0"],
    [4001, "wlan0"],
  ]);
  const tree = connectionTree([connection], {
    subflowInterface: ({ path }) => names.get(path.local.port),
    streams: { paint: painter(false), width: Number.POSITIVE_INFINITY },
    reasons: new Map(),
  });
  assert.equal(
    tree,
    [
      "00001b2c  client  userspace path manager  established  [::ffff:10.0.1.1]:4000 → [::ffff:10.0.9.9]:443  3 subflows  sent 3.0 kB  received 0 B",
      "├─ [::ffff:10.0.1.1]:4000 → [::ffff:10.0.9.9]:443  eth0          id 0→0  initial        established  rtt 12.3 ms  sent 1.5 kB  received 0 B  0 retransmits",
      "├─ 10.0.2.1:4001 → 10.0.9.9:443                    wlan0         id 2→0  backup (ours)  established  rtt 12.3 ms  sent 1.5 kB  received 0 B  0 retransmits",
      "└─ 10.0.2.1:4002 → 10.0.8.8:443                    no interface  id 2→5  join           syn-sent     rtt ?        sent 1.5 kB  received 0 B  0 retransmits",
      "",
    ].join("\n"),
  );
});

test("in a narrow terminal the tree is broken between its cells, and every one of them is there", () => {
  const shown = (width: number): string =>
    connectionTree([connection], {
      subflowInterface: () => "wlan0",
      streams: { paint: painter(false), width },
      reasons: new Map(),
    });
  const words = (text: string): string[] =>
    text
      .replaceAll(/[├└│─]/g, " ")
      .split(/\s+/)
      .filter(Boolean);
  const wide = words(shown(Number.POSITIVE_INFINITY));
  for (const width of [40, 50, 60, 80, 120]) {
    const lines = shown(width).split("\n");
    assert.ok(
      lines.every((line) => line.length <= width),
      `${width}: ${lines.join("|")}`,
    );
    assert.deepEqual(words(lines.join("\n")), wide);
  }
});
