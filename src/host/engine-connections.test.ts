import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address, CONFIG, FACTS, ip, route } from "../../test/fixtures/host-facts.ts";
import {
  CELL,
  configured,
  connection,
  endpoint,
  HostWorld,
  lost,
  started,
  WIFI,
  withoutWifi,
  withWifi,
} from "../../test/fixtures/host-world.ts";
import { ENDPOINT_FLAG, ERRNO } from "../types/index.ts";
import { RETURN_MAX } from "./absences.ts";
import { AUDIT_INTERVAL } from "./engine.ts";
import { LOSSES_MAX, RETRY_MAX, RETRY_MIN, WELL_AFTER } from "./recovery.ts";
import { SETTLING } from "./settling.ts";

describe("host engine: last paths", () => {
  test("an endpoint that a connection lives by stays, is told of, and goes when it may", () => {
    const world = started();
    world.connections = [connection(1, WIFI), connection(2, WIFI, CELL)];
    world.become("loss", withoutWifi);
    assert.deepEqual(world.endpoints, [WIFI, CELL]);
    assert.match(world.engine.troubles.join(), /10\.0\.1\.1 should go, and stays: a connection has no other subflow/);
    world.pass(5 * AUDIT_INTERVAL);
    assert.equal(world.said.filter((text) => text.includes("stays for now")).length, 1, "said once");
    assert.equal(world.order.filter((each) => each === "connections.read").length, 1, "nothing has happened since");
    world.connections = [connection(1, WIFI, CELL), connection(2, WIFI, CELL)];
    world.feed({ type: "events", events: [] });
    world.pass(100);
    assert.deepEqual([world.endpoints, world.engine.troubles], [[CELL], []]);
  });

  test("and stays for good when its link is back", () => {
    const world = started();
    world.connections = [connection(1, WIFI)];
    world.become("loss", withoutWifi);
    world.pass(AUDIT_INTERVAL);
    world.become("gain", withWifi);
    world.pass(SETTLING);
    assert.deepEqual([world.endpoints, world.engine.troubles], [[WIFI, CELL], []]);
    assert.deepEqual(
      world.commands().filter((command) => command.includes("delete")),
      [],
    );
  });

  test("looking at many connections is paced by what it costs", () => {
    const world = started();
    world.cost = 80;
    world.connections = [connection(1, WIFI)];
    world.become("loss", withoutWifi);
    world.pass(SETTLING);
    world.order.length = 0;
    world.feed({ type: "events", events: [] });
    world.pass(799);
    assert.ok(!world.order.includes("connections.read"));
    world.pass(1);
    assert.ok(world.order.includes("connections.read"), world.order.join(" "));
  });

  test("the daemon's own table spares last subflows itself: nobody is asked", () => {
    const world = started({ closesSubflows: false });
    world.connections = [connection(1, WIFI)];
    world.become("loss", withoutWifi);
    assert.deepEqual([world.endpoints, world.order.includes("connections.read")], [[CELL], false]);
  });
});

describe("host engine: lost subflows come back", () => {
  /** When the endpoint was deleted and added again, since the start. */
  const renewals = (world: HostWorld, since: number): number[] =>
    world.done.flatMap(({ at, change }) =>
      change.type === "endpoint.delete" && change.address === WIFI ? [at - since] : [],
    );

  test("by using their endpoint again, after waits that grow up to a minute", () => {
    const world = started();
    const start = world.now;
    const waits = [RETRY_MIN, 2000, 4000, 8000, 16_000, 32_000, RETRY_MAX, RETRY_MAX];
    let at = 0;
    for (const wait of waits) {
      world.feed({ type: "events", events: [lost(WIFI), lost(WIFI, { error: 0, resetReason: 2 })] });
      world.pass(wait - 1);
      assert.equal(renewals(world, start).at(-1) ?? 0, at, `not before ${wait} ms`);
      world.pass(1);
      at += wait;
      assert.equal(renewals(world, start).at(-1), at, `after ${wait} ms`);
    }
    assert.equal(renewals(world, start).length, waits.length);
    assert.deepEqual([...world.endpoints].sort(), [WIFI, CELL]);
    assert.equal(
      world.said.filter((text) => /10\.0\.1\.1 is used again: its subflows were lost/.test(text)).length,
      waits.length,
    );
    world.pass(WELL_AFTER + 1);
    world.feed({ type: "events", events: [lost(WIFI)] });
    const since = world.now;
    world.pass(RETRY_MIN);
    assert.equal(renewals(world, since).at(-1), RETRY_MIN, "what was well for a minute begins anew");
  });

  test("a subflow that somebody closed is not lost", () => {
    const world = started();
    const before = world.done.length;
    world.feed({ type: "events", events: [lost(WIFI, { error: 0 }), lost(WIFI, { error: undefined })] });
    world.pass(10 * RETRY_MAX);
    assert.equal(world.done.length, before);
  });

  test("not while a connection has a subflow from there; when it has none any more", () => {
    const world = started();
    world.connections = [connection(1, WIFI)];
    const start = world.now;
    world.feed({ type: "events", events: [lost(WIFI)] });
    world.pass(RETRY_MIN);
    assert.match(world.said.at(-1) ?? "", /cannot be brought back now: 1 connection has a subflow from it/);
    world.pass(2000);
    world.connections = [];
    world.pass(3999);
    assert.deepEqual(renewals(world, start), []);
    world.pass(1);
    assert.deepEqual(renewals(world, start), [7000]);
  });

  test("not where it is announced, gone, somebody else's, or to go anyway", () => {
    for (const change of [
      (world: HostWorld) => world.feed({ type: "configured", config: { ...CONFIG, profile: "server" } }),
      (world: HostWorld) => world.become("loss", withoutWifi),
      (world: HostWorld) => void world.memory.owned.delete(WIFI),
    ]) {
      const world = started();
      change(world);
      world.feed({ type: "events", events: [lost(WIFI)] });
      const before = world.done.length;
      world.pass(10 * RETRY_MAX);
      assert.deepEqual(world.commands(before), []);
    }
  });

  test("a retry whose connections could not be read is followed by another", () => {
    const world = started();
    const start = world.now;
    world.feed({ type: "events", events: [lost(WIFI)] });
    let fails = 2;
    world.onQuestion = (type) => {
      if (type === "connections.read" && fails-- > 0) throw new Error("no memory");
    };
    for (let left = 10_000; left > 0; left--) {
      try {
        world.pass(1);
      } catch (error) {
        assert.match(String(error), /no memory/);
      }
    }
    assert.ok(renewals(world, start).length === 1, renewals(world, start).join());
  });

  test("a retry that is refused is not told as one that came to something", () => {
    const world = started();
    world.feed({ type: "events", events: [lost(WIFI)] });
    world.refuse = ({ type }) => (type === "endpoint.add" ? ERRNO.ENOMEM : 0);
    world.pass(RETRY_MIN);
    assert.ok(!world.said.some((text) => text.includes("used again")));
    world.refuse = () => 0;
    world.pass(AUDIT_INTERVAL);
    assert.deepEqual([...world.endpoints].sort(), [WIFI, CELL], "the plan wants it all the same");
  });

  test("peers cannot make the list of losses grow", () => {
    const world = started();
    const addresses = Array.from({ length: LOSSES_MAX + 50 }, (_, index) => ip(`10.9.${index >> 8}.${index & 255}`));
    world.feed({ type: "events", events: [...addresses.map((each) => lost(each)), lost(WIFI)] });
    const before = world.done.length;
    world.pass(10_000);
    assert.equal(world.done.length, before, "there was no room for it");
    world.feed({ type: "events", events: [lost(WIFI)] });
    world.pass(10_000);
    assert.equal(world.done.length, before + 2, "those without an endpoint made room");
  });
});

describe("host engine: lives", () => {
  const NOT_IN_USE = { bySubflows: new Set<typeof WIFI>(), byConnections: new Set<typeof WIFI>() };
  const strict = new Map([
    ["net.ipv4.conf.all.rp_filter", "0"],
    ["net.ipv4.conf.wlan0.rp_filter", "1"],
  ]);

  test("the end puts back everything that is ours", () => {
    const facts = { ...FACTS, sysctls: strict, endpoints: [endpoint(1, "10.0.9.9", 1)] };
    const world = started({ facts });
    assert.ok(world.facts.endpoints.length > 1 && world.facts.sysctls.get("net.ipv4.conf.wlan0.rp_filter") === "2");
    world.feed({ type: "ending" });
    world.become("loss", withoutWifi);
    world.facts = { ...world.facts, links: FACTS.links };
    world.feed({ type: "restore", ofTable: true, inUse: NOT_IN_USE });
    assert.deepEqual(world.engine.restored, { isWhole: true, isLeft: false });
    const { endpoints, limits, rules, routes, sysctls } = world.facts;
    assert.deepEqual(
      { endpoints, limits, rules, routes, sysctls },
      { endpoints: facts.endpoints, limits: facts.limits, rules: [], routes: facts.routes, sysctls: strict },
    );
    world.pass(10 * AUDIT_INTERVAL);
    assert.deepEqual(world.facts.endpoints, facts.endpoints, "nothing is planned any more");
  });

  test("what connections live by stays, is said, and is taken over by the next life", () => {
    const world = started();
    world.feed({ type: "ending" });
    world.feed({
      type: "restore",
      ofTable: true,
      inUse: { bySubflows: new Set([CELL]), byConnections: new Set([CELL]) },
    });
    assert.deepEqual([world.engine.restored, world.endpoints], [{ isWhole: true, isLeft: true }, [CELL]]);
    assert.match(world.said.at(-1) ?? "", /endpoint 10\.0\.2\.1 stays: connections have subflows from there/);
    assert.equal(world.saved?.clean, true);
    const next = started({ facts: world.facts, saved: world.saved });
    assert.deepEqual([...next.endpoints].sort(), [WIFI, CELL]);
    assert.ok(!next.commands().some((command) => command.includes(`add ${CELL}`)));
    next.feed({ type: "ending" });
    next.feed({ type: "restore", ofTable: true, inUse: NOT_IN_USE });
    assert.deepEqual(next.endpoints, []);
  });

  test("the daemon's own table ends with it: its endpoints are not taken back one by one", () => {
    const world = started({ closesSubflows: false });
    const before = world.facts.endpoints;
    world.feed({ type: "ending" });
    world.feed({ type: "restore", ofTable: false, inUse: NOT_IN_USE });
    assert.deepEqual(world.facts.endpoints, before);
    assert.deepEqual(world.engine.restored, { isWhole: true, isLeft: false });
  });

  test("what could not be put back is put back by another try", () => {
    const world = started({ facts: { ...FACTS, sysctls: strict } });
    let refusals = 1;
    world.refuse = ({ type }) => (type === "sysctl.set" && refusals-- > 0 ? ERRNO.ENOMEM : 0);
    world.feed({ type: "ending" });
    world.feed({ type: "restore", ofTable: true, inUse: NOT_IN_USE });
    assert.equal(world.engine.restored?.isWhole, false);
    world.feed({ type: "ending" });
    world.feed({ type: "restore", ofTable: true, inUse: NOT_IN_USE });
    assert.equal(world.engine.restored?.isWhole, true);
    assert.deepEqual(world.facts.sysctls, strict);
  });

  test("after a kill -9 between adding an endpoint and writing it down, it is ours again; an administrator's is not", () => {
    const first = new HostWorld({
      facts: { ...FACTS, sysctls: new Map(), endpoints: [endpoint(5, CELL, ENDPOINT_FLAG.backup)] },
    });
    const killed = new Error("killed");
    // Dies as it is about to remember what is ours.
    Object.defineProperty(first.memory, "rememberOwnership", { value: () => assert.fail(killed) });
    assert.throws(() => first.feed(configured), killed);
    assert.deepEqual(first.saved?.owned ?? [], []);
    const next = started({ facts: first.facts, saved: first.saved ?? {} });
    assert.ok(next.memory.owned.has(WIFI));
    assert.ok(!next.memory.owned.has(CELL));
    next.byHand(next.facts.endpoints.filter((each) => each.address !== WIFI));
    next.pass(AUDIT_INTERVAL);
    assert.match(next.said.at(-1) ?? "", /removed by somebody else/, "after the first look it is a life as any other");
    next.feed({ type: "ending" });
    next.feed({ type: "restore", ofTable: true, inUse: NOT_IN_USE });
    assert.deepEqual(next.endpoints, [CELL]);
  });

  test("an address that goes while nobody runs is forgotten, and not missed", () => {
    const world = started();
    const gone = {
      ...world.facts,
      endpoints: [],
      addresses: [address(3, CELL)],
      routes: [route(3, "10.0.2.254", 700)],
    };
    const next = started({ facts: gone, saved: world.saved });
    assert.deepEqual(next.endpoints, [CELL]);
    assert.ok(!next.said.some((text) => text.includes("removed by somebody else")));
  });
});

describe("host engine: announced addresses", () => {
  const withoutAddress = { addresses: FACTS.addresses.filter((each) => each.address !== WIFI) };
  const serving = (closesSubflows: boolean): HostWorld => {
    const world = new HostWorld({ closesSubflows });
    world.feed({ type: "configured", config: { ...CONFIG, profile: "server" } });
    return world;
  };

  test("one that goes is waited for, and taken back when it does not return", () => {
    const world = serving(true);
    world.become("loss", withoutAddress);
    world.pass(RETURN_MAX - 1);
    assert.deepEqual(world.endpoints, [WIFI, CELL]);
    world.become("gain", { addresses: FACTS.addresses });
    world.pass(AUDIT_INTERVAL);
    world.become("loss", withoutAddress);
    world.pass(RETURN_MAX - 1);
    assert.deepEqual(world.endpoints, [WIFI, CELL], "each time anew");
    world.pass(1);
    assert.deepEqual(world.endpoints, [CELL]);
  });

  test("the daemon's own table is left to who serves the connections", () => {
    const world = serving(false);
    world.become("loss", withoutAddress);
    assert.deepEqual(world.endpoints, [CELL]);
    const [deletion] = world.done.filter(({ change }) => change.type === "endpoint.delete");
    assert.ok(deletion?.change.type === "endpoint.delete" && deletion.change.isLoss);
  });
});
