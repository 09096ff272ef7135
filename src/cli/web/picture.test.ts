import assert from "node:assert/strict";
import { test } from "node:test";
import type { Query } from "../../page/index.ts";
import type { Address, WatchedConnection, WatchedSubflow } from "../../types/index.ts";
import type { World } from "../top/state.ts";
import { type HostPicture, pictureOf } from "./picture.ts";

const QUERY: Query = { sort: "token", filter: "all", search: "", offset: 0, count: 50, opened: "" };
const FRAME = { host: "here", mayControl: false, daemon: undefined, userName: (uid: number) => `user ${uid}` };

function subflow(index: number, more: Partial<WatchedSubflow> = {}): WatchedSubflow {
  return {
    path: {
      local: { address: `10.0.${index}.1` as Address, port: 1000 },
      remote: { address: "10.9.9.9" as Address, port: 443 },
    },
    localId: index,
    remoteId: 0,
    join: index > 0,
    initiated: true,
    state: "established",
    backup: false,
    backupByPeer: false,
    held: false,
    quarantined: false,
    isProbe: false,
    interfaceIndex: index + 2,
    rtt: 10 * (index + 1),
    rttVar: 0,
    lost: 0,
    unacked: 0,
    retransmits: 0,
    bytesSent: 0,
    bytesReceived: 0,
    sendRate: 0,
    receiveRate: 0,
    sinceAck: 0,
    ...more,
  };
}

function connection(token: number, more: Partial<WatchedConnection> = {}): WatchedConnection {
  return {
    token,
    side: "client",
    initial: subflow(0).path,
    established: true,
    pathManager: "userspace",
    fallback: false,
    uid: 1000,
    policy: "resilient",
    rule: undefined,
    measuredAt: 0,
    bytesSent: 1,
    bytesReceived: 2,
    sendRate: 0,
    receiveRate: 0,
    subflows: [subflow(0), subflow(1)],
    ...more,
  };
}

function world(...connections: readonly WatchedConnection[]): World {
  return {
    connections: new Map(connections.map((each) => [each.token, each])),
    timeline: () => [],
    sparkline: () => "",
    rates: () => [1, 2],
    rtts: () => [7, 0, 9],
    interfaceOf: (_local, index = 0) => `eth${index}`,
    why: () => [{ what: "10.0.3.1", reason: "limit" }],
    who: "userspace path manager",
    missing: [],
    now: 1000,
  };
}

test("web: a picture of ten thousand connections has the rows in sight, and sums of all", () => {
  const many = Array.from({ length: 10_000 }, (_, index) => connection(index + 1, { sendRate: 3 }));
  const { rows, found, offset, sums, topology } = pictureOf(
    world(...many),
    { ...QUERY, offset: 5000, count: 30 },
    FRAME,
  );
  assert.deepEqual([rows.length, found, offset], [30, 10_000, 5000]);
  assert.equal(rows[0]?.token, "00001389");
  assert.deepEqual(sums, { connections: 10_000, subflows: 20_000, troubled: 0, sendRate: 30_000, receiveRate: 0 });
  assert.deepEqual(
    topology.edges.map(({ from, to, subflows }) => [from, to, subflows]),
    [
      ["eth2", "10.9.9.9", 10_000],
      ["eth3", "10.9.9.9", 10_000],
    ],
  );
  const { rows: capped } = pictureOf(world(...many), { ...QUERY, count: 1e9 }, FRAME);
  assert.equal(capped.length, 200);
});

test("web: rows beyond the end, orders and filters that there are not, do no harm", () => {
  const { rows, offset } = pictureOf(world(connection(1)), { ...QUERY, offset: 77, sort: "x", filter: "y" }, FRAME);
  assert.deepEqual([rows.length, offset], [1, 0]);
  assert.deepEqual(pictureOf(world(), { ...QUERY, offset: 5 }, FRAME).rows, []);
});

test("web: what is wrong is said, and a line is as bad as the worst of it", () => {
  const bad = connection(2, { subflows: [subflow(0, { quarantined: true }), subflow(1, { backup: true })] });
  const { rows, sums, topology } = pictureOf(world(connection(1), bad), QUERY, FRAME);
  assert.deepEqual(rows.map(({ trouble }) => trouble).sort(), ["", "in quarantine"]);
  assert.equal(sums.troubled, 1);
  assert.deepEqual(topology.edges.map(({ state }) => state).sort(), ["good", "trouble"]);
  const alone = pictureOf(world(connection(3, { subflows: [], fallback: true })), QUERY, FRAME);
  assert.equal(alone.rows[0]?.trouble, "plain TCP, no subflow is left");
});

test("web: the busiest remote hosts are drawn, the others counted", () => {
  const each = (index: number): WatchedConnection => {
    const remote = { address: `10.1.${index}.1` as Address, port: 443 };
    return connection(index + 1, { subflows: [subflow(0, { path: { ...subflow(0).path, remote }, sendRate: index })] });
  };
  const { topology } = pictureOf(world(...Array.from({ length: 20 }, (_, index) => each(index))), QUERY, FRAME);
  assert.deepEqual([topology.remotes.length, topology.more], [12, 8]);
  assert.ok(topology.remotes.includes("10.1.19.1") && !topology.remotes.includes("10.1.0.1"));
});

test("web: the rule that chose the policy is said, and found", () => {
  const ruled = connection(7, { rule: "Work" });
  assert.equal(pictureOf(world(ruled), QUERY, FRAME).rows[0]?.policy, "resilient (rule Work)");
  assert.equal(pictureOf(world(ruled, connection(8)), { ...QUERY, search: "work" }, FRAME).found, 1);
});

test("web: rules in words with the connections that have each, at most fifty, and not on a connection's page", () => {
  const rule = (name: string) => ({ name, match: "everything", treatment: "delay 1s", isNow: true });
  const many = Array.from({ length: 100 }, (_, index) => rule(`${index}`));
  const daemon = { rules: { rules: [rule("Work"), ...many], more: 7 } } as unknown as HostPicture;
  const worked = world(connection(1, { rule: "Work" }), connection(2, { rule: "Work" }), connection(3));
  const shown = pictureOf(worked, QUERY, { ...FRAME, daemon }).daemon?.rules;
  assert.deepEqual([shown?.shown[0]?.connections, shown?.shown[1]?.connections], [2, 0]);
  assert.deepEqual([shown?.shown.length, shown?.more], [50, 58]);
  assert.equal(pictureOf(worked, { ...QUERY, opened: "1" }, { ...FRAME, daemon }).daemon, undefined);
  const none = { rules: undefined } as unknown as HostPicture;
  assert.equal(pictureOf(worked, QUERY, { ...FRAME, daemon: none }).daemon?.rules, undefined);
});

test("web: the page of a connection; one that is over; none", () => {
  const { opened } = pictureOf(world(connection(0x1f)), { ...QUERY, opened: "1f" }, FRAME);
  assert.deepEqual(
    [opened?.subflows[0]?.rates, opened?.subflows[0]?.rtts],
    [
      [1, 2],
      [7, 0, 9],
    ],
  );
  assert.deepEqual([opened?.user, opened?.subflows.length, opened?.row.token], ["user 1000", 2, "0000001f"]);
  assert.equal(pictureOf(world(), { ...QUERY, opened: "1f" }, FRAME).opened, null);
  assert.equal("opened" in pictureOf(world(), { ...QUERY, opened: "nonsense" }, FRAME), false);
});
