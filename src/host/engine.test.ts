import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address, CONFIG, FACTS, ip, link, route } from "../../test/fixtures/host-facts.ts";
import { connection, type Facts, HostWorld, lost } from "../../test/fixtures/host-world.ts";
import { ENDPOINT_FLAG, type Endpoint, ERRNO } from "../types/index.ts";
import { AUDIT_INTERVAL } from "./engine.ts";
import { LOSSES_MAX, RETRY_MAX, RETRY_MIN, WELL_AFTER } from "./recovery.ts";
import { REMOVALS_MAX, REMOVALS_WINDOW } from "./removals.ts";
import { SETTLING, SETTLING_MAX } from "./settling.ts";

const WIFI = ip("10.0.1.1");
const CELL = ip("10.0.2.1");
const configured = { type: "configured", config: CONFIG } as const;
const withoutWifi = {
  links: FACTS.links.map((each) => (each.name === "wlan0" ? link(2, "wlan0", { carrier: false }) : each)),
};
const withWifi = { links: FACTS.links };

function started(options: ConstructorParameters<typeof HostWorld>[0] = {}): HostWorld {
  const world = new HostWorld(options);
  world.feed(configured);
  return world;
}

const endpoint = (id: number, text: string, flags = 2): Endpoint => ({
  id,
  address: ip(text),
  port: 0,
  flags,
  interfaceIndex: 0,
});

/** Another address of the Wi-Fi link. */
const more = (count: number): Pick<Facts, "addresses"> => ({
  addresses: [
    ...FACTS.addresses,
    ...Array.from({ length: count }, (_, index) => address(2, `10.${index >> 7}.1.${2 + (index & 127)}`)),
  ],
});

describe("host engine: when", () => {
  test("a loss is served at once, also while gains settle; gains that come together are served together", () => {
    const world = started();
    assert.deepEqual(world.endpoints, [WIFI, CELL]);
    world.become("gain", more(1));
    assert.equal(world.endpoints.length, 3, "the first gain does not wait");
    const plans = world.engine.corrections;
    for (let count = 2; count <= 6; count++) world.become("gain", more(count));
    assert.equal(world.engine.corrections, plans, "the others do");
    world.become("loss", withoutWifi);
    assert.deepEqual(world.endpoints, [CELL], "the loss does not");
    world.become("gain", withWifi);
    assert.deepEqual(world.endpoints, [CELL]);
    world.pass(SETTLING);
    assert.equal(world.endpoints.length, 8, "and nothing is forgotten");
  });

  test("a thousand addresses in a second are a few plans", () => {
    const world = started();
    const before = world.engine.corrections;
    for (let count = 1; count <= 1000; count++) {
      world.become("gain", more(count));
      world.pass(1);
    }
    assert.ok(world.engine.corrections - before <= 2 + 1000 / SETTLING, String(world.engine.corrections - before));
  });

  test("where thinking is felt, gains settle for longer, at most a second; a cheap plan is paid for at once", () => {
    for (const [took, wait] of [
      [0.5, SETTLING],
      [10, 200],
      [5000, SETTLING_MAX],
    ] as const) {
      const world = started();
      world.become("gain", more(1));
      world.feed({ type: "thought", took });
      world.become("gain", more(2));
      const due = world.now + wait;
      while (world.endpoints.length < 4) world.pass(1);
      assert.equal(world.now, due, `after thinking for ${took} ms`);
    }
  });

  test("the table and the sysctls are read anew every two seconds, and what somebody changed is mended", () => {
    const world = started();
    world.byHand([]);
    world.pass(AUDIT_INTERVAL);
    assert.deepEqual(world.endpoints, [WIFI, CELL]);
    assert.match(world.said.join("\n"), /10\.0\.1\.1 was removed by somebody else: it is added again/);
    world.sleep(3_600_000);
    assert.deepEqual(world.endpoints, [WIFI, CELL]);
    assert.equal(world.engine.nextTick, world.now + AUDIT_INTERVAL, "an hour asleep is one audit, not 1,800");
  });

  test("what is lost where nothing of ours is, is in no haste; before the first plan everything may be ours", () => {
    const world = new HostWorld();
    assert.ok(world.engine.isOurs(99) && world.engine.isOurs(99, ip("10.9.9.9")));
    world.feed(configured);
    assert.deepEqual([world.engine.isOurs(2), world.engine.isOurs(3), world.engine.isOurs(99)], [true, true, false]);
    assert.deepEqual([world.engine.isOurs(2, WIFI), world.engine.isOurs(2, ip("10.0.1.9"))], [true, false]);
    world.byHand([...world.facts.endpoints, { ...endpoint(9, "10.0.9.9"), interfaceIndex: 99 }]);
    world.pass(AUDIT_INTERVAL);
    assert.ok(world.engine.isOurs(99), "nor where an endpoint of somebody else is");
  });

  test("a link that flaps a thousand times ends as it should be", () => {
    const world = started();
    for (let times = 0; times < 1000; times++) {
      world.become(times % 2 === 0 ? "loss" : "gain", times % 2 === 0 ? withoutWifi : withWifi);
      world.pass(7);
    }
    world.pass(SETTLING);
    assert.deepEqual([...world.endpoints].sort(), [WIFI, CELL]);
  });
});

describe("host engine: in which order", () => {
  test("what was there before is written down before it is changed; what is ours, after", () => {
    const world = started({
      facts: {
        ...FACTS,
        limits: { subflows: 0, addAddrAccepted: 0 },
        sysctls: new Map([["net.ipv4.conf.wlan0.rp_filter", "1"]]),
      },
    });
    const save = world.order.lastIndexOf("save", world.order.indexOf("sysctl.set"));
    assert.ok(save >= 0 && save < world.order.indexOf("limits.set"), world.order.join(" "));
    assert.ok(world.order.lastIndexOf("save") > world.order.lastIndexOf("endpoint.add"), world.order.join(" "));
    assert.deepEqual(world.saved?.owned, [WIFI, CELL]);
    assert.deepEqual(world.saved?.limits, { subflows: 0, addAddrAccepted: 0 });
    assert.deepEqual(world.saved?.sysctls, { "net.ipv4.conf.wlan0.rp_filter": "1" });
  });

  test("a loss is served with the table as it was left, and read after the deed", () => {
    const world = started();
    world.order.length = 0;
    world.become("loss", withoutWifi);
    assert.deepEqual(
      world.order.filter((each) => /endpoint|read/.test(each)),
      ["network.read", "connections.read", "endpoint.delete", "table.read"],
    );
  });

  test("a question that nobody could answer costs that turn only", () => {
    for (const question of ["network.read", "table.read", "connections.read"] as const) {
      const world = started();
      let fails = 1;
      world.onQuestion = (type) => {
        if (type === question && fails-- > 0) throw new Error("no memory");
      };
      assert.throws(() => world.become("loss", withoutWifi), /no memory/, question);
      world.pass(AUDIT_INTERVAL);
      assert.deepEqual(world.endpoints, [CELL], question);
      world.become("gain", withWifi);
      world.pass(AUDIT_INTERVAL);
      assert.deepEqual([...world.endpoints].sort(), [WIFI, CELL], question);
    }
  });

  test("an answer that nobody asked for changes nothing", () => {
    const world = started();
    world.feed({ type: "connections", connections: [connection(1, WIFI)], cost: 5 });
    world.feed({ type: "table", endpoints: world.facts.endpoints, limits: world.facts.limits });
    world.feed({ type: "done", errnos: [] });
    world.feed({ type: "network", network: world.facts });
    assert.deepEqual(world.commands().length, 3, world.commands().join("\n"));
  });
});

describe("host engine: limits", () => {
  test("they are set when the plan changes, and an administrator's own stay until then", () => {
    const world = started();
    const limits = { subflows: 5, addAddrAccepted: 5 };
    world.facts = { ...world.facts, limits };
    world.pass(10 * AUDIT_INTERVAL);
    assert.deepEqual(world.facts.limits, limits);
    world.become("gain", more(2));
    assert.notDeepEqual(world.facts.limits, limits);
  });

  test("limits that were refused are tried again", () => {
    const world = new HostWorld();
    let refusals = 3;
    world.refuse = ({ type }) => (type === "limits.set" && refusals-- > 0 ? ERRNO.EPERM : 0);
    world.feed(configured);
    assert.deepEqual(world.facts.limits, FACTS.limits);
    world.pass(3 * AUDIT_INTERVAL);
    assert.deepEqual(world.facts.limits, { subflows: 3, addAddrAccepted: 3 });
    assert.ok(refusals < 0);
  });

  test("no more endpoints than the kernel has room for, and whose addresses go makes room", () => {
    const world = started();
    world.become("gain", more(20));
    world.pass(SETTLING);
    assert.equal(world.endpoints.length, FACTS.capacity.endpoints);
    world.become("loss", { addresses: [...more(20).addresses].filter(({ address: each }) => each !== WIFI) });
    world.pass(SETTLING);
    assert.equal(world.endpoints.length, FACTS.capacity.endpoints);
    assert.ok(!world.endpoints.includes(WIFI));
  });
});

describe("host engine: whose endpoints", () => {
  test("an administrator's endpoints are never touched, whatever happens", () => {
    const theirs = [endpoint(77, "10.0.9.9", 1), endpoint(78, WIFI, 4)];
    const world = started({ facts: { ...FACTS, sysctls: new Map(), endpoints: theirs } });
    for (const network of [withoutWifi, withWifi, more(8), { addresses: [] }, { addresses: FACTS.addresses }]) {
      world.become("loss", network);
      world.pass(AUDIT_INTERVAL);
    }
    world.feed({ type: "events", events: [lost(WIFI), lost(ip("10.0.9.9"))] });
    world.pass(10 * RETRY_MAX);
    world.feed({ type: "ending" });
    world.feed({ type: "restore", ofTable: true, inUse: { bySubflows: new Set(), byConnections: new Set() } });
    assert.deepEqual(world.facts.endpoints, theirs);
    assert.ok(!world.done.some(({ change }) => "id" in change && (change.id === 77 || change.id === 78)));
  });

  test("whoever takes one of ours away again and again shall have it so, until the configuration is read again", () => {
    const world = started();
    for (let times = 0; times <= REMOVALS_MAX; times++) {
      world.byHand(world.facts.endpoints.filter((each) => each.address !== CELL));
      world.pass(AUDIT_INTERVAL);
    }
    assert.deepEqual(world.endpoints, [WIFI]);
    assert.match(world.said.at(-1) ?? "", /10\.0\.2\.1 was removed 4 times in a minute: it is left to whoever does so/);
    world.pass(10 * REMOVALS_WINDOW);
    assert.deepEqual(world.endpoints, [WIFI]);
    world.feed(configured);
    assert.deepEqual(world.endpoints, [WIFI, CELL]);
  });

  test("four removals in as many hours are four accidents", () => {
    const world = started();
    for (let times = 0; times <= 2 * REMOVALS_MAX; times++) {
      world.byHand([]);
      world.pass(REMOVALS_WINDOW);
    }
    assert.deepEqual([...world.endpoints].sort(), [WIFI, CELL]);
  });

  test("what went out ahead is ours, is written down, and is not added again", () => {
    const world = started();
    world.pass(SETTLING);
    const before = world.done.length;
    world.byHand([
      ...world.facts.endpoints,
      { ...endpoint(9, "10.0.1.2", world.facts.endpoints[0]!.flags), interfaceIndex: 2 },
    ]);
    world.feed({ type: "endpoint.foreseen", endpoint: { address: "10.0.1.2", port: 0 } });
    world.become("gain", more(1));
    assert.deepEqual(
      world.done.slice(before).filter(({ change }) => change.type.startsWith("endpoint.")),
      [],
    );
    assert.ok(world.saved?.owned.includes("10.0.1.2"));
  });

  test("who else sets endpoints is said once, and again when it changed", () => {
    const world = started();
    world.rivals = [{ name: "mptcpd", pid: 12, command: "systemctl disable --now mptcp.service" }];
    world.pass(2 * AUDIT_INTERVAL);
    assert.ok(!world.order.includes("rivals.find"), "nobody does");
    world.byHand([...world.facts.endpoints, endpoint(9, "10.0.9.9")]);
    world.pass(5 * AUDIT_INTERVAL);
    assert.equal(
      world.said.filter((text) => /mptcpd \(process 12\) sets MPTCP endpoints here too/.test(text)).length,
      1,
    );
    world.rivals = [{ ...world.rivals[0]!, pid: 13 }];
    world.pass(AUDIT_INTERVAL);
    assert.match(world.said.at(-1) ?? "", /process 13/);
  });
});

describe("host engine: last paths", () => {
  test("an endpoint that a connection lives by stays, is told of, and goes when it may", () => {
    const world = started();
    world.connections = [connection(1, WIFI), connection(2, WIFI, CELL)];
    world.become("loss", withoutWifi);
    assert.deepEqual(world.endpoints, [WIFI, CELL]);
    assert.match(world.engine.waiting.join(), /10\.0\.1\.1 should go, and stays: a connection has no other subflow/);
    world.pass(5 * AUDIT_INTERVAL);
    assert.equal(world.said.filter((text) => text.includes("stays for now")).length, 1, "said once");
    assert.equal(world.order.filter((each) => each === "connections.read").length, 1, "nothing has happened since");
    world.connections = [connection(1, WIFI, CELL), connection(2, WIFI, CELL)];
    world.feed({ type: "events", events: [] });
    world.pass(100);
    assert.deepEqual([world.endpoints, world.engine.waiting], [[CELL], []]);
  });

  test("and stays for good when its link is back", () => {
    const world = started();
    world.connections = [connection(1, WIFI)];
    world.become("loss", withoutWifi);
    world.pass(AUDIT_INTERVAL);
    world.become("gain", withWifi);
    world.pass(SETTLING);
    assert.deepEqual([world.endpoints, world.engine.waiting], [[WIFI, CELL], []]);
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
