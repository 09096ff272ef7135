import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address } from "../types/index.ts";
import { Peer } from "./peer.ts";
import { Random } from "./random.ts";

const COUNT = 50;
const local = (n: number) => ({ address: `10.0.0.${n}` as Address, port: 0 });

/** Announces so many addresses to each of many peers; how many reach it, and how many ADD_ADDRs were dropped. */
function announce(pace: number): { received: number; dropped: number } {
  const result = { received: 0, dropped: 0 };
  for (let seed = 1; seed <= 20; seed++) {
    const peer = new Peer(new Random(seed));
    for (let n = 0; n < COUNT; n++) peer.announced(1, local(n), n * pace);
    peer.settle(COUNT * pace + 20_000);
    for (let n = 0; n < COUNT; n++) if (peer.hasReceived(1, local(n))) result.received++;
    result.dropped += peer.dropped;
  }
  return result;
}

test("peer: announcements 50 ms apart are taken at once, on any round trip from 1 ms to 1 s", () => {
  assert.deepEqual(announce(50), { received: 20 * COUNT, dropped: 0 });
});

test("peer: of a burst one is taken each time, and what is dropped four times is lost", () => {
  const { received, dropped } = announce(0);
  assert.ok(received >= 20 * 4 && received < 20 * COUNT, `${received}`);
  assert.ok(dropped >= 20 * (COUNT - received / 20) * 4, `${dropped}`);
});

test("peer: nothing is there before its time, and what is announced anew must come anew", () => {
  const peer = new Peer(new Random(1));
  peer.announced(1, local(1), 0);
  peer.settle(0);
  assert.equal(peer.hasReceived(1, local(1)), false);
  peer.settle(600);
  assert.equal(peer.hasReceived(1, local(1)), true);
  peer.announced(1, local(1), 600);
  assert.equal(peer.hasReceived(1, local(1)), false);
  peer.settle(1200);
  assert.equal(peer.hasReceived(1, local(1)), true);
  assert.equal(peer.hasReceived(2, local(1)), false, "of another connection");
});
