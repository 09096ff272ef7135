import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address, CONFIG, FACTS, ip, link, NOTHING, route } from "../../test/fixtures/host-facts.ts";
import { ENDPOINT_FLAG, type Endpoint } from "../types/index.ts";
import { IFA_F, type Rule } from "../wire/index.ts";
import * as host from "./index.ts";

const plan = (facts: Partial<host.HostFacts> = {}, config: Partial<host.HostConfig> = {}, memory = NOTHING) =>
  host.planHost({ ...FACTS, ...facts }, { ...CONFIG, ...config }, memory);
const planned = (result: host.HostPlan) =>
  result.endpoints.map(({ address: a, flags, dev }) => `${a} ${dev} ${host.flagWords(flags)}`);
const whyNot = (result: host.HostPlan, what: string) =>
  result.leftOut.find((each) => each.what.startsWith(what))?.reason;

describe("endpoints", () => {
  test("an empty configuration: a client's interfaces with default routes", () => {
    const result = plan();
    assert.deepEqual(planned(result), ["10.0.1.1 wlan0 subflow laminar", "10.0.2.1 wwan0 subflow fullmesh"]);
    assert.deepEqual(result.limits, { subflows: 7, addAddrAccepted: 7 });
    assert.deepEqual([result.rules, result.routes], [[], []]);
  });

  test("where a policy over pairs is in charge, flags say little; an old kernel has no laminar", () => {
    const pairs = { plansPairs: true };
    assert.deepEqual(planned(plan({}, pairs)), ["10.0.1.1 wlan0 subflow laminar", "10.0.2.1 wwan0 subflow laminar"]);
    assert.deepEqual(planned(plan({ capacity: { ...FACTS.capacity, laminar: false } }, pairs)), [
      "10.0.1.1 wlan0 subflow",
      "10.0.2.1 wwan0 subflow",
    ]);
  });

  const unusable: [string, Partial<host.HostFacts>, RegExp][] = [
    ["down", { links: [...FACTS.links.slice(0, 2), link(3, "wwan0", { flags: 0 })] }, /wwan0 is down/],
    ["no carrier", { links: [...FACTS.links.slice(0, 2), link(3, "wwan0", { carrier: false })] }, /no carrier/],
    [
      "lower layer down",
      { links: [...FACTS.links.slice(0, 2), link(3, "wwan0", { operationalState: "lowerlayerdown" })] },
      /no carrier/,
    ],
    [
      "no local route yet",
      { addresses: [...FACTS.addresses.slice(0, 2), { ...address(3, "10.0.2.1"), unrouted: true }] },
      /no local route/,
    ],
    ["no default route", { routes: [route(2, "10.0.1.254")] }, /no IPv4 default route/],
    [
      "a default route of another table",
      { routes: [route(2, "10.0.1.254"), route(3, "10.0.2.254", 0, { table: 100 })] },
      /no IPv4 default route/,
    ],
    [
      "an unreachable default route",
      { routes: [route(2, "10.0.1.254"), route(3, "10.0.2.254", 0, { type: 7 })] },
      /no IPv4 default route/,
    ],
  ];
  for (const [name, facts, reason] of unusable) {
    test(`not usable: ${name}`, () => {
      const result = plan(facts);
      assert.deepEqual(planned(result), ["10.0.1.1 wlan0 subflow fullmesh"]);
      assert.match(whyNot(result, "10.0.2.1") ?? "", reason);
    });
  }

  const addresses: [string, number, RegExp | undefined][] = [
    ["2001:db8::1", 0, undefined],
    ["2001:db8::1", IFA_F.TENTATIVE, /duplicate address detection/],
    ["2001:db8::1", IFA_F.TENTATIVE | IFA_F.OPTIMISTIC, undefined],
    ["2001:db8::1", IFA_F.DADFAILED | IFA_F.TENTATIVE, /another host/],
    ["2001:db8::1", IFA_F.DEPRECATED, /deprecated/],
    ["2001:db8::1", IFA_F.TEMPORARY, /privacy/],
    ["fe80::1", 0, /link-local/],
    ["febf::1", 0, /link-local/],
    ["fd00::1", 0, /unique local/],
    ["169.254.1.1", 0, /link-local/],
    ["10.0.1.7", 0, undefined],
    ["10.0.1.7", 0x01, undefined], // IFA_F_SECONDARY
  ];
  for (const [text, flags, reason] of addresses) {
    test(`address ${text} with flags ${flags}: ${reason ?? "usable"}`, () => {
      const result = plan({
        addresses: [address(2, text, flags)],
        routes: [route(2, "10.0.1.254"), route(2, "fe80::1")],
      });
      assert.equal(planned(result).length, reason ? 0 : 1);
      if (reason) assert.match(whyNot(result, text) ?? "", reason);
    });
  }

  test("containers, bridges, VPNs and ports of a bond are ignored unless a rule names them", () => {
    const links = [
      link(2, "docker0", { interfaceKind: "container" }),
      link(3, "wg0", { interfaceKind: "vpn" }),
      link(4, "eth1", { master: 9 }),
    ];
    const facts = { links, addresses: [address(2, "10.0.1.1"), address(3, "10.0.2.1"), address(4, "10.0.3.1")] };
    const routes = [2, 3, 4].map((index) => route(index, `10.0.${index - 1}.254`));
    assert.deepEqual(planned(plan({ ...facts, routes })), []);
    const interfaces = [{ match: { kind: "vpn" as const }, role: "backup" as const, alsoWithoutDefaultRoute: false }];
    assert.deepEqual(planned(plan({ ...facts, routes }, { interfaces })), ["10.0.2.1 wg0 subflow backup fullmesh"]);
  });

  test("roles by name, kind and connection; the first rule that fits decides", () => {
    const rule = (match: host.InterfaceMatch, role: host.Role) => ({ match, role, alsoWithoutDefaultRoute: false });
    const links = [
      link(2, "wlan0", { interfaceKind: "wifi", connection: "Home net" }),
      link(3, "wwan0", { interfaceKind: "cellular" }),
    ];
    const flags = (...interfaces: host.InterfaceRule[]) => planned(plan({ links }, { interfaces }));
    assert.deepEqual(flags(rule({ name: "ww*" }, "backup")), [
      "10.0.1.1 wlan0 subflow laminar",
      "10.0.2.1 wwan0 subflow backup fullmesh",
    ]);
    assert.deepEqual(flags(rule({ kind: "wifi" }, "off"), rule({ name: "*" }, "fullmesh")), [
      "10.0.2.1 wwan0 subflow fullmesh",
    ]);
    assert.deepEqual(flags(rule({ connection: "Home*" }, "signal"), rule({}, "off")), ["10.0.1.1 wlan0 signal"]);
    assert.deepEqual(flags(rule({ name: "wlan0" }, "laminar"), rule({ name: "wwan0" }, "primary")), [
      "10.0.2.1 wwan0 subflow fullmesh",
      "10.0.1.1 wlan0 laminar",
    ]);
  });

  test("behind a NAT peers know an address by another one, which takes its rule along", () => {
    const announceAs = ip("203.0.113.7");
    const rule = { match: { name: "wwan0" }, alsoWithoutDefaultRoute: false, announceAs };
    const both = plan({}, { plansPairs: true, interfaces: [{ ...rule, role: "subflow" as const }] });
    assert.deepEqual(planned(both), [
      "10.0.1.1 wlan0 subflow laminar",
      "10.0.2.1 wwan0 subflow laminar",
      "203.0.113.7 wwan0 signal",
    ]);
    const server = plan({}, { profile: "server", interfaces: [{ ...rule, role: "signal" as const }] });
    assert.deepEqual(planned(server), ["10.0.1.1 wlan0 signal", "203.0.113.7 wwan0 signal"]);
    assert.deepEqual(
      server.rules.map(({ source }) => source),
      ["10.0.2.1"],
    );
  });

  test("too many addresses are ranked, each interface's first before anybody's second, and the losers named", () => {
    const many = [...Array(6).keys()].flatMap((i) => [address(2, `10.0.1.${i + 1}`), address(3, `10.0.2.${i + 1}`)]);
    const result = plan({ addresses: many, capacity: { ...FACTS.capacity, endpoints: 3 } });
    assert.deepEqual(
      planned(result).map((text) => text.split(" ")[0]),
      ["10.0.1.1", "10.0.2.1", "10.0.1.2"],
    );
    assert.equal(result.leftOut.filter(({ reason }) => reason.includes("room for 3")).length, 9);
  });

  test("fixed endpoints come first, wait for their interface, and also without automatic", () => {
    const fixed = { address: ip("10.0.2.1"), port: 8443, id: 5, flags: ENDPOINT_FLAG.signal, dev: "wwan0" };
    const result = plan(
      {},
      {
        automatic: false,
        endpoints: [fixed, { ...fixed, dev: "usb0", port: 0 }],
        limits: { subflows: undefined, addAddrAccepted: undefined },
      },
    );
    assert.deepEqual(planned(result), ["10.0.2.1 wwan0 signal"]);
    assert.match(whyNot(result, "10.0.2.1 dev usb0") ?? "", /no interface usb0/);
    assert.equal(result.limits, undefined);
  });
});

describe("limits", () => {
  test("computed from paths and remote addresses, capped by the kernel, lowered with the paths", () => {
    assert.deepEqual(plan({ addresses: [address(2, "10.0.1.1")] }).limits, { subflows: 3, addAddrAccepted: 3 });
    assert.deepEqual(plan({}, { remoteAddresses: 5 }).limits, { subflows: 8, addAddrAccepted: 8 });
    assert.deepEqual(plan({}, { profile: "server" }).limits, { subflows: 7, addAddrAccepted: 0 });
    assert.deepEqual(plan({}, { remoteAddresses: 2 }).limits, { subflows: 3, addAddrAccepted: 3 });
    assert.deepEqual(plan({}, { limits: { subflows: 7, addAddrAccepted: undefined } }).limits, {
      subflows: 7,
      addAddrAccepted: 0,
    });
  });
});

describe("source routing", () => {
  const server = { profile: "server" as const };

  test("a server's second address gets a rule and a table with the interface's routes, connected ones first", () => {
    const connected = route(3, "10.0.2.254", 0, {
      destination: ip("10.0.2.0"),
      destinationLength: 24,
      gateway: undefined,
      scope: 253,
      preferredSource: ip("10.0.2.1"),
    });
    const { rules, routes } = plan({ routes: [...FACTS.routes, connected] }, server);
    assert.deepEqual(rules, [{ family: 2, source: "10.0.2.1", sourceLength: 32, table: 20_003 }]);
    assert.deepEqual(
      routes.map(({ destination, gateway, table }) => [destination, gateway, table]),
      [
        ["10.0.2.0", undefined, 20_003],
        [undefined, "10.0.2.254", 20_003],
      ],
    );
  });

  test("none for the best path, for a client's bound subflows, where somebody else's rule decides, or never", () => {
    assert.deepEqual(plan({}, { ...server, routing: "never" }).rules, []);
    assert.equal(plan({}, { ...server, routing: "always" }).rules.length, 2);
    assert.equal(plan({}, { routing: "auto" }).rules.length, 0);
    assert.equal(plan({}, { routing: "auto", plansPairs: true }).rules.length, 1, "peers may learn of it");
    const foreign: Rule = {
      family: 2,
      priority: 100,
      source: ip("10.0.2.0"),
      sourceLength: 24,
      destination: undefined,
      destinationLength: 0,
      table: 77,
      inputInterface: undefined,
      outputInterface: undefined,
      mark: undefined,
      protocol: 3,
      action: 1,
    };
    assert.equal(plan({ rules: [foreign] }, server).rules.length, 0);
    assert.equal(plan({ rules: [{ ...foreign, sourceLength: 32 }] }, server).rules.length, 1, "another address's rule");
    assert.equal(
      plan({ rules: [{ ...foreign, protocol: host.OUR_PROTOCOL }] }, server).rules.length,
      1,
      "our own rule",
    );
  });

  test("two links with the same gateway each get their own table", () => {
    const routes = [route(2, "100.64.0.1", 100), route(3, "100.64.0.1", 200)];
    const result = plan({ routes }, { ...server, routing: "always" });
    assert.deepEqual(
      result.routes.map(({ outputInterface, table }) => [outputInterface, table]),
      [
        [2, 20_002],
        [3, 20_003],
      ],
    );
  });
});

describe("sysctls", () => {
  const rp = (all: string, wlan0: string) =>
    new Map([
      ["net.ipv4.conf.all.rp_filter", all],
      ["net.ipv4.conf.wlan0.rp_filter", wlan0],
    ]);
  const changes = (sysctls: Map<string, string>, config: Partial<host.HostConfig> = {}, memory = NOTHING) => {
    const facts = { ...FACTS, sysctls };
    const whole = { ...CONFIG, ...config };
    return host
      .reconcileHost(facts, host.planHost(facts, whole, memory), whole, memory)
      .flatMap((action) => (action.type === "sysctl.set" ? [`${action.name}=${action.value}`] : []));
  };

  test("rp_filter: the larger of all and the interface counts, only strict is changed", () => {
    assert.deepEqual(changes(rp("0", "1")), ["net.ipv4.conf.wlan0.rp_filter=2"]);
    assert.deepEqual(changes(rp("1", "0")), ["net.ipv4.conf.wlan0.rp_filter=2"]);
    assert.deepEqual(changes(rp("0", "0")), []);
    assert.deepEqual(changes(rp("2", "1")), [], "all=2 is loose already");
    assert.deepEqual(changes(rp("1", "2")), []);
    assert.deepEqual(changes(rp("0", "1"), { rpFilter: false }), []);
  });

  test("what was changed is put back when it is no longer wanted", () => {
    const memory = { ...NOTHING, sysctls: new Map([["net.ipv4.conf.wlan0.rp_filter", "1"]]) };
    assert.deepEqual(
      changes(
        rp("0", "2"),
        { interfaces: [{ match: { name: "wlan0" }, role: "off", alsoWithoutDefaultRoute: false }] },
        memory,
      ),
      ["net.ipv4.conf.wlan0.rp_filter=1"],
    );
    assert.deepEqual(changes(rp("0", "2"), {}, memory), []);
  });

  test("net.mptcp: only when allowed", () => {
    const sysctls = new Map([
      ["net.mptcp.enabled", "0"],
      ["net.mptcp.allow_join_initial_addr_port", "1"],
    ]);
    assert.deepEqual(changes(sysctls), []);
    assert.deepEqual(changes(sysctls, { enableMptcp: true, behindLoadBalancer: true }), [
      "net.mptcp.enabled=1",
      "net.mptcp.allow_join_initial_addr_port=0",
    ]);
  });

  test("a dot in an interface's name is not a separator", () => {
    assert.equal(host.rpFilterName("eth0.5"), "net.ipv4.conf.eth0/5.rp_filter");
  });
});

describe("ownership", () => {
  const there = (text: string, flags: number, more: Partial<Endpoint> = {}): Endpoint => ({
    id: 1,
    address: ip(text),
    port: 0,
    flags,
    interfaceIndex: 0,
    ...more,
  });
  const actions = (endpoints: Endpoint[], config: Partial<host.HostConfig> = {}, memory = NOTHING) => {
    const facts = { ...FACTS, endpoints, limits: { subflows: 7, addAddrAccepted: 7 } };
    const whole = { ...CONFIG, ...config };
    return host
      .reconcileHost(facts, host.planHost(facts, whole, memory), whole, memory)
      .map((action) => host.commandLine(action, (index) => `if${index}`));
  };
  const foreign = [there("10.0.1.1", ENDPOINT_FLAG.signal), there("10.9.9.9", ENDPOINT_FLAG.signal, { id: 2 })];

  test("ignore leaves what others added, also where we want the address", () => {
    assert.deepEqual(actions(foreign), ["ip mptcp endpoint add 10.0.2.1 dev if3 subflow fullmesh"]);
  });

  test("adopt takes over what the plan wants, and only that", () => {
    assert.deepEqual(actions(foreign, { foreignEndpoints: "adopt" }), [
      "ip mptcp endpoint delete id 1",
      "# adopt the endpoint 10.0.1.1",
      "ip mptcp endpoint add 10.0.1.1 dev if2 subflow laminar",
      "ip mptcp endpoint add 10.0.2.1 dev if3 subflow fullmesh",
    ]);
  });

  test("replace takes away the rest too", () => {
    assert.ok(actions(foreign, { foreignEndpoints: "replace" }).includes("ip mptcp endpoint delete id 2"));
  });

  test("backup and fullmesh are changed, not deleted and added", () => {
    const owned = { ...NOTHING, owned: new Set(["10.0.1.1", "10.0.2.1"]) };
    const now = [
      there("10.0.1.1", ENDPOINT_FLAG.subflow | ENDPOINT_FLAG.laminar, { interfaceIndex: 2 }),
      there("10.0.2.1", ENDPOINT_FLAG.subflow, { id: 2, interfaceIndex: 3 }),
    ];
    const interfaces = [{ match: { name: "wwan0" }, role: "backup" as const, alsoWithoutDefaultRoute: false }];
    assert.deepEqual(actions(now, { interfaces }, owned), ["ip mptcp endpoint change id 2 backup nofullmesh"]);
  });

  test("what an earlier release added stays as it is: to make it fullmesh would close its subflows", () => {
    const { subflow, laminar, backup } = ENDPOINT_FLAG;
    const owned = { ...NOTHING, owned: new Set(["10.0.1.1", "10.0.2.1"]) };
    const now = [
      there("10.0.1.1", subflow | laminar, { interfaceIndex: 2 }),
      there("10.0.2.1", subflow, { id: 2, interfaceIndex: 3 }),
    ];
    assert.deepEqual(actions(now, {}, owned), []);
    now[1] = there("10.0.2.1", subflow | backup, { id: 2, interfaceIndex: 3 });
    assert.deepEqual(
      actions(now, {}, owned),
      ["ip mptcp endpoint change id 2 nobackup nofullmesh"],
      "its role changed",
    );
  });

  test("what is gone from the plan is deleted first", () => {
    const owned = { ...NOTHING, owned: new Set(["10.7.7.7"]) };
    assert.equal(
      actions([there("10.7.7.7", ENDPOINT_FLAG.subflow, { id: 9 })], {}, owned)[0],
      "ip mptcp endpoint delete id 9",
    );
  });

  test("after a crash, what is exactly as planned is ours; anything else is not", () => {
    const memory = { ...NOTHING, afterCrash: true, foreign: new Set(["10.7.7.7"]) };
    const same = there("10.0.1.1", ENDPOINT_FLAG.subflow | ENDPOINT_FLAG.laminar, { interfaceIndex: 2 });
    assert.equal(actions([same], {}, memory)[0], "# adopt the endpoint 10.0.1.1");
    // Somebody else's before the crash, or before anything of ours could be there.
    for (const foreign of [new Set(["10.0.1.1"]), undefined]) {
      assert.ok(!actions([same], {}, { ...memory, foreign }).some((line) => line.includes("10.0.1.1")));
    }
    assert.deepEqual(actions(foreign, {}, memory), ["ip mptcp endpoint add 10.0.2.1 dev if3 subflow fullmesh"]);
  });

  test("an endpoint that somebody keeps removing is let go, and said", () => {
    const memory = { ...NOTHING, yielded: new Set(["10.0.2.1"]) };
    assert.match(whyNot(plan({}, {}, memory), "10.0.2.1") ?? "", /somebody else keeps removing/);
  });
});

test("interface kinds", () => {
  const kind = (name: string, more: Partial<host.HostLink> = {}, sysfs: Partial<host.SysfsFacts> = {}) =>
    host.interfaceKind(link(2, name, more), { deviceType: undefined, wireless: false, ...sysfs });
  assert.equal(kind("eth0"), "ethernet");
  assert.equal(kind("wlp3s0", {}, { wireless: true }), "wifi");
  assert.equal(kind("wwan0"), "cellular");
  assert.equal(kind("usb0", {}, { deviceType: "wwan" }), "cellular");
  assert.equal(kind("docker0", { kind: "bridge" }), "container");
  assert.equal(kind("br0", { kind: "bridge" }), "bridge");
  assert.equal(kind("veth1", { kind: "veth", master: 5 }), "container");
  assert.equal(kind("eth0", { kind: "veth" }), "ethernet");
  assert.equal(kind("wg0", { kind: "wireguard" }), "vpn");
  assert.equal(kind("tun0", { kind: "tun" }), "vpn");
});
