import assert from "node:assert/strict";
import { test } from "node:test";
import { datagrams, type Recorded, writeRecords } from "../../test/fixtures/records.ts";
import { beginMessage, CodecError, endMessage, Writer } from "../wire/index.ts";
import { loadNative, type NativeAddon, RECORD, substituteNative, type WatchHandle } from "./native.ts";
import { NetlinkSubscription } from "./subscription.ts";

/** What the answer thread would wake us with. */
let tell: (records: readonly Recorded[]) => void = () => undefined;

const addon = loadNative();
substituteNative({
  ...addon,
  openNetlink: () => 99,
  joinGroup: () => 0,
  unwatch: () => 0,
  close: () => 0,
  watch(_fd, slab, callback) {
    tell = (records) => callback(0, writeRecords(slab, records));
    return {} as WatchHandle satisfies ReturnType<NativeAddon["watch"]>;
  },
});

const deliver = (list: readonly Uint8Array[]): void => tell(datagrams(...list));

function datagram(type: number): Uint8Array {
  const writer = new Writer();
  const start = beginMessage(writer, type, 0, 0);
  writer.u32(0);
  endMessage(writer, start);
  return writer.bytes.slice(0, writer.length);
}

/** The length of its one message says more than there is. */
function cut(type: number): Uint8Array {
  const bytes = datagram(type);
  bytes[0] = 200;
  return bytes;
}

function heard(onMessage: (type: number) => void): string[] {
  const log: string[] = [];
  const subscription = new NetlinkSubscription(0, [1], {
    onMessage: (_, { type }) => {
      log.push(`${type}`);
      onMessage(type);
    },
    onOverrun: () => log.push("overrun"),
    onBatchEnd: () => log.push("end"),
  });
  assert.ok(subscription);
  return log;
}

test("subscription: a datagram that is no netlink message counts as an overrun, and those around it are heard", () => {
  const log = heard(() => undefined);
  deliver([datagram(20), cut(21), datagram(22)]);
  assert.deepEqual(log.splice(0), ["20", "22", "end", "overrun"]);
  deliver([datagram(23)]);
  assert.deepEqual(log, ["23", "end"]);
});

test("subscription: a message whose attributes cannot be decoded counts as an overrun", () => {
  const log = heard((type) => {
    if (type === 31) throw new CodecError("cut", 3, "an event");
  });
  deliver([datagram(30), datagram(31), datagram(32)]);
  assert.deepEqual(log, ["30", "31", "32", "end", "overrun"]);
});

test("subscription: an error of whoever listens is not taken for one", () => {
  heard(() => assert.fail("of the listener"));
  assert.throws(() => deliver([datagram(40)]), /of the listener/);
});

test("subscription: an overrun has its place among the messages", () => {
  const log = heard(() => undefined);
  tell([...datagrams(datagram(50)), { kind: RECORD.OVERRUN }, ...datagrams(datagram(51))]);
  assert.deepEqual(log, ["50", "end", "overrun", "51", "end"]);
});

test("subscription: a datagram of which a part is missing counts as an overrun", () => {
  const log = heard(() => undefined);
  tell([{ kind: RECORD.DATAGRAM, number: 9000, bytes: datagram(60) }, ...datagrams(datagram(61))]);
  assert.deepEqual(log, ["61", "end", "overrun"]);
});
