import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FACTS, ip, route } from "../../test/fixtures/host-facts.ts";
import {
  CELL,
  configured,
  connection,
  endpoint,
  HostWorld,
  lost,
  more,
  started,
  WIFI,
  withoutWifi,
  withWifi,
} from "../../test/fixtures/host-world.ts";
import { ERRNO } from "../types/index.ts";
import { AUDIT_INTERVAL } from "./engine.ts";
import { RETRY_MAX } from "./recovery.ts";
import { REMOVALS_MAX, REMOVALS_WINDOW } from "./removals.ts";
import { SETTLING, SETTLING_MAX } from "./settling.ts";

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
    assert.deepEqual(world.facts.limits, { subflows: 7, addAddrAccepted: 7 });
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

  test("who may have removed an endpoint of ours is said, although nobody else's endpoint is there", () => {
    const world = started();
    world.rivals = [{ name: "mptcpd", pid: 12, command: "systemctl disable --now mptcp.service" }];
    world.byHand([]);
    world.pass(AUDIT_INTERVAL);
    assert.match(world.said.at(-1) ?? "", /mptcpd \(process 12\) sets MPTCP endpoints here too/);
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

describe("host engine: another network", () => {
  const moves = (world: HostWorld): number => world.order.filter((each) => each === "blackhole.forget").length;
  const routes = (gateway: string, cell = 700) => [route(2, gateway, 100), route(3, "10.0.2.254", cell)];

  test("what the kernel learned of the one before does not count in the next", () => {
    const world = started();
    world.become("gain", { routes: routes("10.0.1.254") });
    world.pass(AUDIT_INTERVAL);
    assert.equal(moves(world), 0, "the same");
    world.become("gain", { routes: routes("10.0.1.253") });
    assert.equal(moves(world), 1, "another gateway");
    world.become("gain", { routes: routes("10.0.1.253", 50) });
    world.pass(AUDIT_INTERVAL);
    assert.equal(moves(world), 2, "another link is preferred");
  });

  test("none at all is no other one", () => {
    const world = started();
    world.become("loss", { routes: [] });
    world.become("gain", { routes: routes("10.0.1.254") });
    world.pass(AUDIT_INTERVAL);
    assert.equal(moves(world), 0);
  });
});
