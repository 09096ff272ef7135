import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address, ConnectionLosses, SubflowLosses } from "../types/index.ts";
import { isTooMuch, LossMeter, type PathLosses } from "./losses.ts";

const [WIFI, CELL] = ["10.0.0.1", "10.1.0.1"] as [Address, Address];

function subflow(address: Address, sent: number, resent = 0, more: Partial<SubflowLosses> = {}): SubflowLosses {
  const path = { local: { address, port: 4000 }, remote: { address: "192.0.2.1" as Address, port: 80 } };
  return {
    path,
    bytesSent: sent,
    bytesRetransmitted: resent,
    unacked: 0,
    cwnd: 10,
    sinceAck: 10,
    carries: true,
    ...more,
  };
}

function connection(token: number, ...subflows: readonly SubflowLosses[]): ConnectionLosses {
  return { token, outstanding: 0, subflows };
}

/** What a second look shows of an address. */
function seen(
  first: readonly ConnectionLosses[],
  second: readonly ConnectionLosses[],
  { after = 1000, address = WIFI } = {},
): PathLosses | undefined {
  const meter = new LossMeter();
  assert.ok(meter.look(first, 0).every(({ sent }) => sent === 0));
  return meter.look(second, after).find((each) => each.address === address);
}

const SMALL = connection(1, subflow(WIFI, 0), subflow(CELL, 0));

test("what was sent between two looks, of all connections together", () => {
  const first = [
    connection(1, subflow(WIFI, 1e6, 5e5), subflow(CELL, 0)),
    connection(2, subflow(WIFI, 1000), subflow(CELL, 0)),
  ];
  const second = [
    connection(1, subflow(WIFI, 1.05e6, 5.1e5), subflow(CELL, 0)),
    connection(2, subflow(WIFI, 31_000, 10), subflow(CELL, 0)),
    // New since then.
    connection(3, subflow(WIFI, 20_000, 5000), subflow(CELL, 0)),
  ];
  const expected = {
    address: WIFI,
    sent: 1e5,
    resent: 15_010,
    judged: 3,
    lossy: 2,
    isFull: false,
    isCrowded: false,
    isNeeded: false,
  };
  assert.deepEqual(seen(first, second), expected);
});

test("a v4-mapped address is the same path", () => {
  const mapped = connection(1, subflow("::ffff:10.0.0.1" as Address, 1e5, 1e4), subflow(CELL, 0));
  assert.equal(seen([SMALL], [mapped])?.sent, 1e5);
});

test("too little, too early or too long ago tells nothing", () => {
  const later = (sent: number) => [connection(1, subflow(WIFI, sent, sent / 2), subflow(CELL, 0))];
  assert.equal(seen([SMALL], later(39_000))?.sent, 0);
  assert.equal(seen([SMALL], later(50_000), { after: 100 })?.sent, 0);
  assert.equal(seen([SMALL], later(50_000), { after: 40_000 })?.sent, 0);
  assert.equal(seen([SMALL], later(50_000), { after: 20_000 })?.sent, 50_000);
});

test("what was judged as too much is not judged again with what comes after", () => {
  const meter = new LossMeter();
  const look = (sent: number, resent: number, now: number) =>
    meter.look([connection(1, subflow(WIFI, sent, resent), subflow(CELL, 0))], now)[0]?.resent;
  assert.deepEqual([look(0, 0, 0), look(1e5, 5e4, 1000), look(2e5, 5e4, 2000)], [0, 5e4, 0]);
});

test("an address is needed where a connection has nothing else that moves and carries", () => {
  const needed = (other: Partial<SubflowLosses>) =>
    seen([SMALL], [connection(1, subflow(WIFI, 1e5), subflow(CELL, 0, 0, other))]);
  assert.equal(needed({})?.isNeeded, false);
  assert.equal(needed({ carries: false })?.isNeeded, true);
  assert.equal(needed({ unacked: 3, sinceAck: 1500 })?.isNeeded, true);
  assert.equal(needed({ unacked: 3, sinceAck: 20 })?.isNeeded, false);
  const backup = connection(1, subflow(WIFI, 0, 0, { carries: false }), subflow(CELL, 0));
  assert.equal(seen([SMALL], [backup])?.isNeeded, false, "what does not carry cannot be missed");
});

test("a transfer that fills its paths is seen on each of them", () => {
  const full = {
    ...connection(1, subflow(WIFI, 1e6, 0, { unacked: 10 }), subflow(CELL, 0, 0, { unacked: 2 })),
    outstanding: 2e5,
  };
  assert.deepEqual([seen([SMALL], [full])?.isFull, seen([SMALL], [full], { address: CELL })?.isFull], [true, true]);
  assert.equal(seen([SMALL], [{ ...full, outstanding: 9e4 }])?.isFull, false);
});

test("where the others of a connection have no room left it is full, if that lasts, and it is remembered for a while", () => {
  const meter = new LossMeter();
  const look = (unacked: number, now: number) => {
    const paths = meter.look([connection(1, subflow(WIFI, 0), subflow(CELL, 0, 0, { unacked }))], now);
    const { isFull, isCrowded } = paths.find(({ address }) => address === WIFI) as PathLosses;
    return [isFull, isCrowded];
  };
  assert.deepEqual(look(6, 0), [false, false]);
  assert.deepEqual(look(7, 500), [false, true]);
  assert.deepEqual(look(10, 1000), [true, true]);
  assert.deepEqual(look(0, 1500), [false, true]);
  assert.deepEqual(look(10, 2000), [false, true]);
  assert.deepEqual(look(0, 4100), [false, false]);
});

test("of few segments many must be lost, of many fewer, and fewer still where it was too much before", () => {
  const isLossy = (segments: number, share: number, wasLossy = false) =>
    isTooMuch({ sent: segments * 1000, resent: share * segments * 1000 }, wasLossy);
  assert.deepEqual([isLossy(39, 1), isLossy(40, 0.14), isLossy(40, 0.15)], [false, false, true]);
  assert.deepEqual([isLossy(200, 0.06), isLossy(200, 0.07)], [false, true]);
  assert.deepEqual([isLossy(40, 0.04, true), isLossy(40, 0.05, true)], [false, true]);
});
