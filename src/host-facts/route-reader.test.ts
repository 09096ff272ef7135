import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "../../test/fixtures/host-facts.ts";
import { NetlinkDouble } from "../../test/fixtures/netlink-double.ts";
import { Rtnl } from "../netlink/index.ts";
import { AF_INET, ERRNO } from "../types/index.ts";
import { encodeRoute, RT_TABLE, RTM, RTN, readU32, Writer } from "../wire/index.ts";
import type { RouteModel, RouteScope } from "./route-model.ts";
import { RouteReader } from "./route-reader.ts";

function routePayload(nth: number): Uint8Array {
  const writer = new Writer();
  encodeRoute(
    writer,
    { family: AF_INET, destinationLength: nth === 0 ? 0 : 32, table: RT_TABLE.MAIN, protocol: 12, type: RTN.UNICAST },
    { destination: nth === 0 ? undefined : ip(`20.0.0.${nth}`), outputInterface: 2, gateway: ip("10.0.1.254") },
  );
  return writer.bytes.slice(0, writer.length);
}

const PAYLOADS = Array.from({ length: 100 }, (_, nth) => routePayload(nth));
/** Families, tables, protocols and types of the dumps that were asked for: bytes of `struct rtmsg`. */
const asked = (double: NetlinkDouble): number[][] =>
  double.sends.flat().map(({ payload }) => [payload[0]!, payload[4]!, payload[5]!, payload[7]!]);

/** The number of a table that stands in an attribute. */
const RT_TABLE_COMPAT = 252;
const ANYWHERE: RouteScope = { local: undefined, ours: undefined };

interface World {
  readonly double: NetlinkDouble;
  readonly reader: RouteReader;
  readonly read: RouteModel[];
  readonly warnings: string[];
  /** What a look at the clock costs. */
  tick: number;
  scope: RouteScope;
}

function withReader(use: (world: World) => void): void {
  using double = new NetlinkDouble();
  double.answer = ({ payload }) =>
    payload[4] === RT_TABLE.MAIN && payload[0] === AF_INET ? { payloads: PAYLOADS } : {};
  using rtnl = Rtnl.open();
  let now = 0;
  const [read, warnings]: [RouteModel[], string[]] = [[], []];
  using reader = new RouteReader({
    rtnl,
    scope: () => world.scope,
    now: () => {
      now += world.tick;
      return now;
    },
    log: { warn: ((text: string) => warnings.push(text)) as never },
    onRead: (routes) => read.push(routes),
  });
  const world: World = { double, reader, read, warnings, tick: 1, scope: ANYWHERE };
  use(world);
}

test("the kernel is asked for what is followed only, and the socket of a reading is closed", () =>
  withReader(({ double, reader }) => {
    assert.equal(reader.readNow().routes.length, PAYLOADS.length);
    assert.deepEqual(asked(double), [
      [2, 0, 0, RTN.LOCAL],
      [2, RT_TABLE.MAIN, 0, RTN.UNICAST],
      [2, 0, 154, 0],
      [10, RT_TABLE.MAIN, 0, RTN.UNICAST],
      [10, 0, 154, 0],
    ]);
    assert.equal(double.open, 1);
  }));

test("where it is known where to look, no table is gone through in vain", () =>
  withReader((world) => {
    const { double, reader } = world;
    world.scope = { local: [ip("10.0.1.1"), ip("10.0.2.1")], ours: [20_002] };
    reader.readNow();
    assert.deepEqual(asked(double), [
      [2, 0, 0, 0],
      [2, 0, 0, 0],
      [2, RT_TABLE.MAIN, 0, RTN.UNICAST],
      [2, RT_TABLE_COMPAT, 154, 0],
      [10, RT_TABLE.MAIN, 0, RTN.UNICAST],
      [10, RT_TABLE_COMPAT, 154, 0],
    ]);
    const dumps = double.sends.slice(-4).flat();
    assert.deepEqual(
      dumps.map(({ payload }) => readU32(payload, 16)),
      [RT_TABLE.MAIN, 20_002, RT_TABLE.MAIN, 20_002],
    );
  }));

test("a kernel that refuses the filters is asked for everything", () =>
  withReader(({ double, reader }) => {
    double.answer = ({ type, payload }) =>
      type === RTM.GETROUTE && payload.subarray(1).some((byte) => byte !== 0)
        ? { errno: ERRNO.EINVAL }
        : { payloads: payload[0] === AF_INET ? PAYLOADS : [] };
    assert.equal(reader.readNow().routes.length, PAYLOADS.length);
  }));

test("what costs much is read piece by piece, and hears meanwhile of what changes", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  withReader((world) => {
    const { reader, read } = world;
    world.tick = 10;
    const known = reader.readNow();
    // Asked for again and again, it begins when the costs of the last are over.
    reader.ask();
    reader.ask();
    const underWay = (): RouteModel | undefined => reader.reading;
    assert.equal(underWay(), undefined);
    t.mock.timers.tick(200);
    assert.ok(underWay(), "under way");
    assert.equal(read.length, 0);
    const change = known.routes.find(({ destination }) => destination === "20.0.0.99")!;
    underWay()?.add({ ...change, destination: ip("20.0.1.1") });
    let pieces = 0;
    for (; underWay() && pieces < 1000; pieces++) t.mock.timers.tick(10);
    assert.ok(pieces > 10, `${pieces} pieces`);
    assert.equal(read.length, 1);
    assert.equal(read[0]?.routes.length, PAYLOADS.length + 1);
    assert.ok(!read[0].equals(known));
  });
});

test("a reading that fails leaves what is known, is said, and is done again", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  withReader((world) => {
    const { double, reader, read, warnings } = world;
    world.tick = 10;
    reader.readNow();
    for (const verb of ["openNetlink", "transact", "receive"] as const) {
      reader.ask();
      double.failing.set(verb, ERRNO.ENOMEM);
      for (let step = 0; step < 60; step++) t.mock.timers.tick(1000);
      assert.equal(warnings.length, 1, verb);
      assert.match(warnings.pop() ?? "", /the routes cannot be read anew, and will be tried again: .*ENOMEM/);
      assert.deepEqual([read.length, read.pop()?.routes.length], [1, PAYLOADS.length], verb);
      assert.equal(double.open, 1, verb);
    }
  });
});

test("an address whose route could not be looked up has not lost it: that is a reading that failed", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  withReader((world) => {
    const { double, reader, read, warnings } = world;
    world.tick = 0;
    world.scope = { local: [ip("10.0.1.1")], ours: [] };
    reader.ask();
    assert.equal(read.length, 1, "that there is no such route is no failure");
    for (const errno of [ERRNO.ENOMEM, ERRNO.EAGAIN, ERRNO.ENOBUFS, ERRNO.EINTR]) {
      double.failing.set("transact", errno);
      assert.throws(() => reader.readNow(), { code: "NETLINK" });
    }
    double.failing.set("transact", ERRNO.ENOMEM);
    reader.ask();
    t.mock.timers.tick(5000);
    assert.match(warnings.join(), /the routes cannot be read anew, and will be tried again: .*ENOMEM/);
    assert.equal(read.length, 2, "read when it could be");
  });
});
