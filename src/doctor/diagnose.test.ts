import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { HostLink } from "../host/index.ts";
import { type Address, type Connection, ENDPOINT_FLAG, type Endpoint } from "../types/index.ts";
import { IFA_F, IFF, type InterfaceAddress, type Route } from "../wire/index.ts";
import { CHECKS, type DoctorFacts, diagnose, fixCommand, type Level, type RouteProbe, worstLevel } from "./index.ts";

const ip = (text: string): Address => text as Address;

function link(index: number, name: string, more: Partial<HostLink> = {}): HostLink {
  return {
    index,
    name,
    hardwareType: 1,
    flags: IFF.UP | IFF.RUNNING | IFF.LOWER_UP,
    operationalState: "up",
    carrier: true,
    mtu: 1500,
    kind: undefined,
    master: 0,
    hardwareAddress: `02:00:00:00:00:0${index}`,
    interfaceKind: "ethernet",
    connection: undefined,
    ...more,
  };
}

function address(interfaceIndex: number, text: string, flags = 0): InterfaceAddress {
  return { interfaceIndex, address: ip(text), prefixLength: 24, flags, scope: 0, peer: undefined };
}

function route(outputInterface: number, gateway: string, priority: number): Route {
  return {
    family: 2,
    destination: undefined,
    destinationLength: 0,
    gateway: ip(gateway),
    outputInterface,
    table: 254,
    priority,
    protocol: 4,
    scope: 0,
    type: 1,
    preferredSource: undefined,
    flags: 0,
  };
}

function endpoint(id: number, text: string, flags: number, interfaceIndex: number): Endpoint {
  return { id, address: ip(text), port: 0, flags, interfaceIndex };
}

function probe(text: string, interfaceIndex: number, unbound: number): RouteProbe {
  const gateway = (index: number): Address => ip(`10.0.${index - 1}.254`);
  return {
    address: ip(text),
    interfaceIndex,
    remote: ip("192.0.2.1"),
    isPeer: false,
    bound: { outputInterface: interfaceIndex, gateway: gateway(interfaceIndex) },
    unbound: { outputInterface: unbound, gateway: gateway(unbound) },
  };
}

const { subflow, signal, backup, implicit, laminar } = ENDPOINT_FLAG;
const ROOM = { subflows: 8, addAddrAccepted: 8 };
const ENDPOINTS = [endpoint(1, "10.0.1.1", subflow, 2), endpoint(2, "10.0.2.1", subflow, 3)];
/** A port endpoint of the daemon, as both tables have it. */
const LISTENING = { ...endpoint(3, "10.0.2.1", 1, 0), port: 5000 };

/** A laptop with two uplinks, as it should be. */
const HEALTHY: DoctorFacts = {
  socket4: 0,
  socket6: 0,
  diag: 0,
  sysctls: new Map([
    ["net.mptcp.enabled", "1"],
    ["net.mptcp.pm_type", "0"],
    ["net.mptcp.blackhole_timeout", "3600"],
    ["net.ipv4.tcp_rmem", "4096 131072 6291456"],
    ["net.ipv4.tcp_wmem", "4096 16384 4194304"],
    ["net.netfilter.nf_conntrack_count", "12"],
    ["net.netfilter.nf_conntrack_max", "65536"],
  ]),
  pathManager: "kernel",
  daemon: undefined,
  eventListener: false,
  managers: [],
  links: [link(2, "eth0"), link(3, "wlan0", { interfaceKind: "wifi" })],
  addresses: [address(2, "10.0.1.1"), address(3, "10.0.2.1")],
  routes: [route(2, "10.0.1.254", 100), route(3, "10.0.2.254", 600)],
  rules: [],
  // Without policy routing: what is bound to its device leaves by it, and only that.
  routeProbes: [probe("10.0.1.1", 2, 2), probe("10.0.2.1", 3, 2)],
  endpoints: ENDPOINTS,
  kernelEndpoints: ENDPOINTS,
  limits: { subflows: 2, addAddrAccepted: 0 },
  localAddresses: new Set([ip("10.0.1.1"), ip("10.0.2.1")]),
  connections: [],
  managed: undefined,
  listeners: [],
  plainListeners: [],
  plainConnections: 0,
  counters: { MPCapableSYNTX: 5, MPJoinSynTx: 5, MPJoinSynAckRx: 5, MPJoinAckRx: 0 },
  firewall: [],
  isFirewallKnown: true,
  notLooked: [],
};

const withSysctl = (name: string, value: string): Partial<DoctorFacts> => ({
  sysctls: new Map([...HEALTHY.sysctls, [name, value]]),
});
const withCounters = (counters: Record<string, number>): Partial<DoctorFacts> => ({
  counters: { ...HEALTHY.counters, ...counters },
});
const withEndpoint = (...extra: Endpoint[]): Partial<DoctorFacts> => ({ endpoints: [...ENDPOINTS, ...extra] });
const asSide = (side: "client" | "server"): Connection[] => [{ side, subflows: [] } as unknown as Connection];
const suspect = (kind: "option" | "strip" | "invalid") => [{ tool: "nft" as const, kind, rule: "r", remove: "nft x" }];
const closing = (device: string) => [
  { tool: "nft" as const, kind: "device" as const, devices: [device], rule: "r", remove: "nft x" },
];
const end = (text: string) => ({ address: ip(text), port: 1 });
/** A connection of the in-kernel path manager with its initial subflow. */
const held = (more: Partial<Connection>): Connection =>
  ({
    token: 0xabcd,
    state: "established",
    pathManager: "kernel",
    fallback: false,
    subflows: [{ state: "established", path: { local: end("10.0.1.1"), remote: end("192.0.2.1") }, interfaceIndex: 0 }],
    ...more,
  }) as unknown as Connection;
/** With a subflow from 10.0.2.1 to 192.0.2.7, bound to an interface. */
const joined = (interfaceIndex: number): Connection =>
  held({
    subflows: [
      { state: "established", path: { local: end("10.0.2.1"), remote: end("192.0.2.7") }, interfaceIndex },
    ] as unknown as Connection["subflows"],
  });
const manager = (name: string) => ({ name, pid: 1, command: `stop ${name}` });

/** The kernel takes everything for a neighbour on a device without a route. */
const ON_LINK = { ...probe("10.0.2.1", 3, 2), bound: { outputInterface: 3, gateway: undefined } };

/** [id, level or undefined for "must not", what is different from the healthy host] */
const CASES: readonly (readonly [string, Level | undefined, Partial<DoctorFacts>, RegExp?])[] = [
  ["kernel-mptcp", "error", { socket4: 93 }, /EPROTONOSUPPORT/],
  ["kernel-mptcp", "error", { socket4: 13 }, /EACCES/],
  ["kernel-mptcp", undefined, { socket4: 92 }],
  ["kernel-mptcp-ipv6", "warning", { socket6: 93, addresses: [...HEALTHY.addresses, address(2, "2001:db8::7")] }],
  ["kernel-mptcp-ipv6", undefined, { socket6: 97 }],
  ["kernel-diag", "note", { diag: 2 }],
  ["mptcp-disabled", "error", withSysctl("net.mptcp.enabled", "0")],
  ["path-manager-absent", "error", { pathManager: "userspace" }],
  ["path-manager-absent", undefined, { pathManager: "userspace", eventListener: true }],
  ["path-manager-absent", undefined, { pathManager: "userspace", eventListener: undefined }],
  ["path-manager-absent", undefined, { pathManager: "userspace", daemon: "userspace" }],
  ["path-manager-endpoints", "warning", { pathManager: "userspace" }, /2 endpoints/],
  ["path-manager-endpoints", undefined, { pathManager: "userspace", kernelEndpoints: [] }],
  [
    "path-manager-endpoints",
    undefined,
    {
      pathManager: "userspace",
      daemon: "userspace",
      endpoints: [LISTENING],
      kernelEndpoints: [{ ...LISTENING, id: 9 }],
    },
  ],
  [
    "path-manager-endpoints",
    "warning",
    { pathManager: "userspace", daemon: "userspace", endpoints: ENDPOINTS, kernelEndpoints: [LISTENING] },
  ],
  ["path-manager-mismatch", "error", { daemon: "userspace" }],
  ["path-manager-mismatch", undefined, { daemon: "kernel" }],
  ["rivals", "warning", { managers: [manager("NetworkManager"), manager("mptcpd")] }],
  ["rivals", "warning", { managers: [manager("mptcpd")], daemon: "kernel" }],
  ["rivals", "note", { managers: [manager("NetworkManager")], daemon: "kernel" }],
  ["rivals", undefined, { managers: [manager("NetworkManager"), manager("NetworkManager")] }],
  ["no-endpoints", "warning", { endpoints: [] }, /2 addresses/],
  ["no-endpoints", "note", { endpoints: [], connections: asSide("server") }],
  ["no-endpoints", undefined, { endpoints: [], pathManager: "userspace" }],
  ["no-endpoints", undefined, { endpoints: [], addresses: [address(2, "10.0.1.1"), address(3, "fe80::1")] }],
  ["single-path", "note", { addresses: [address(2, "10.0.1.1")] }],
  ["endpoint-flags", "error", withEndpoint(endpoint(3, "10.0.1.1", 0, 0))],
  ["endpoint-flags", undefined, withEndpoint(endpoint(3, "10.0.1.1", implicit, 0))],
  // Makes the initial subflow a backup.
  ["endpoint-flags", undefined, withEndpoint(endpoint(3, "10.0.1.1", backup, 0))],
  ["endpoint-device", "warning", withEndpoint(endpoint(3, "10.0.3.1", subflow, 9)), /interface 9/],
  ["endpoint-device", "warning", withEndpoint(endpoint(3, "10.0.1.1", subflow, 3)), /eth0 has the address/],
  ["endpoint-address", "warning", withEndpoint(endpoint(3, "10.0.3.1", subflow, 0))],
  ["endpoint-address", "note", withEndpoint(endpoint(3, "198.51.100.1", signal, 0))],
  [
    "endpoint-address",
    undefined,
    { ...withEndpoint(endpoint(3, "10.0.3.1", subflow, 0)), localAddresses: new Set([ip("10.0.3.1")]) },
  ],
  ["endpoint-unusable", "note", { links: [link(2, "eth0", { carrier: false }), link(3, "wlan0")] }, /no carrier/],
  ["endpoint-unusable", "warning", { addresses: [address(2, "10.0.1.1", IFA_F.DADFAILED), address(3, "10.0.2.1")] }],
  [
    "endpoint-signal-on-client",
    "warning",
    { endpoints: [endpoint(1, "10.0.1.1", signal, 2)], connections: asSide("client") },
  ],
  [
    "endpoint-signal-on-client",
    undefined,
    {
      endpoints: [endpoint(1, "10.0.1.1", signal, 2)],
      connections: asSide("client"),
      listeners: [{ address: ip("0.0.0.0"), port: 80 }],
    },
  ],
  ["endpoint-signal-on-client", undefined, { endpoints: [endpoint(1, "10.0.1.1", signal, 2)] }],
  ["endpoint-subflow-on-server", "warning", { endpoints: [ENDPOINTS[1]!], connections: asSide("server") }],
  ["endpoint-subflow-on-server", undefined, { connections: [...asSide("server"), ...asSide("client")] }],
  ["limit-subflows", "error", { limits: { subflows: 0, addAddrAccepted: 0 } }],
  [
    "limit-subflows",
    "warning",
    {
      ...withEndpoint(endpoint(3, "10.0.1.3", subflow, 2)),
      limits: { subflows: 1, addAddrAccepted: 0 },
    },
  ],
  ["limit-subflows", undefined, { limits: { subflows: 1, addAddrAccepted: 0 } }],
  [
    "limit-subflows",
    undefined,
    {
      ...withEndpoint(endpoint(3, "2001:db8::3", subflow, 2), endpoint(4, "2001:db8::4", subflow, 3)),
      limits: { subflows: 1, addAddrAccepted: 0 },
    },
  ],
  ["limit-add-addr", "warning", withCounters({ AddAddr: 2, MPJoinSynTx: 0 })],
  ["limit-add-addr", "note", withCounters({ AddAddr: 2 })],
  ["limit-add-addr", undefined, withCounters({ AddAddr: 2, MPCapableSYNTX: 0 })],
  // Both endpoints are spent on the initial address: nothing answers an announcement.
  [
    "coverage",
    "note",
    { endpoints: ENDPOINTS.map((each) => ({ ...each, flags: subflow | laminar })), limits: ROOM },
    /a peer with 2 IPv4 addresses: no subflow to 1 of its addresses/,
  ],
  ["coverage", undefined, { endpoints: ENDPOINTS, limits: ROOM }],
  [
    "endpoint-without-device",
    "warning",
    { endpoints: [endpoint(1, "10.0.2.1", subflow, 0)] },
    /10\.0\.2\.1 id 1 names no device/,
  ],
  ["endpoint-without-device", undefined, { endpoints: [endpoint(1, "10.0.1.1", subflow, 0)] }],
  ["source-route", "error", { endpoints: [endpoint(1, "10.0.2.1", subflow, 0)] }, /leaves by eth0, not by wlan0/],
  ["source-route", "warning", { endpoints: [endpoint(1, "10.0.2.1", signal, 3)] }],
  // The kernel takes everything for a neighbour on a device without a route.
  [
    "source-route",
    "error",
    {
      routes: [route(2, "10.0.1.254", 100)],
      routeProbes: [ON_LINK],
    },
    /no gateway on wlan0/,
  ],
  // A subflow that exists proves its way: a neighbour may answer for a host that no route leads to.
  [
    "source-route",
    undefined,
    {
      routes: [route(2, "10.0.1.254", 100)],
      routeProbes: [{ ...ON_LINK, remote: ip("192.0.2.7"), isPeer: true }],
      connections: [joined(3)],
    },
  ],
  [
    "source-route",
    "note",
    {
      routes: [route(2, "10.0.1.254", 100)],
      routeProbes: [{ ...ON_LINK, remote: ip("192.0.2.7"), isPeer: true }, ON_LINK],
      connections: [joined(3)],
    },
    /192\.0\.2\.1 from 10\.0\.2\.1/,
  ],
  // It exists, and takes another path than its address's.
  [
    "source-route",
    "error",
    {
      endpoints: [endpoint(1, "10.0.2.1", subflow, 0)],
      routeProbes: [{ ...probe("10.0.2.1", 3, 2), remote: ip("192.0.2.7"), isPeer: true }],
      connections: [joined(0)],
    },
    /leaves by eth0, not by wlan0/,
  ],
  // An island without any default route is no fault.
  ["source-route", undefined, { routes: [], routeProbes: [{ ...probe("10.0.2.1", 3, 2), bound: undefined }] }],
  ["rp-filter", "error", withSysctl("net.ipv4.conf.all.rp_filter", "1"), /strict on wlan0/],
  [
    "rp-filter",
    undefined,
    {
      sysctls: new Map([
        ...HEALTHY.sysctls,
        ["net.ipv4.conf.all.rp_filter", "1"],
        ["net.ipv4.conf.wlan0.rp_filter", "2"],
      ]),
    },
  ],
  [
    "rp-filter",
    undefined,
    {
      ...withSysctl("net.ipv4.conf.all.rp_filter", "1"),
      routeProbes: [probe("10.0.1.1", 2, 2), probe("10.0.2.1", 3, 3)],
    },
  ],
  ["same-gateway", "note", { routes: [route(2, "10.0.1.254", 1), route(3, "10.0.1.254", 2)] }],
  ["same-gateway", undefined, { routes: [route(2, "10.0.1.254", 1), route(2, "10.0.1.254", 2)] }],
  [
    "duplicate-mac",
    "warning",
    { links: [link(2, "eth0"), link(3, "wlan0", { hardwareAddress: "02:00:00:00:00:02" })] },
  ],
  [
    "duplicate-mac",
    undefined,
    { links: [link(2, "eth0"), link(3, "eth0.5", { kind: "vlan", hardwareAddress: "02:00:00:00:00:02" })] },
  ],
  ["firewall-option", "error", { firewall: suspect("option") }],
  ["firewall-option", "error", { firewall: suspect("strip") }],
  ["firewall-option", undefined, { firewall: suspect("invalid") }],
  ["firewall-option", undefined, { firewall: closing("wlan0") }],
  ["firewall-device", "error", { firewall: closing("wlan0") }, /subflows through wlan0$/],
  ["firewall-device", "error", { firewall: closing("wl*") }, /subflows through wlan0$/],
  ["firewall-device", undefined, { firewall: closing("docker0") }],
  ["connection-fallback", "note", { connections: [held({ fallback: true })] }, /^a connection fell back.*: 0000abcd$/],
  ["connection-without-subflow", "warning", { connections: [held({ subflows: [] })] }, /no subflow left: 0000abcd$/],
  ["connection-without-subflow", undefined, { connections: [held({ subflows: [], state: "closing" })] }],
  ["connection-without-subflow", undefined, { connections: [held({ subflows: [], fallback: true })] }],
  ["connection-unmanaged", undefined, { connections: [held({})] }],
  ["connection-unmanaged", "note", { connections: [held({ pathManager: "userspace" })] }, /no Subflow daemon answers/],
  [
    "connection-unmanaged",
    "note",
    { connections: [held({ pathManager: "userspace" })], daemon: "kernel" },
    /looks after the in-kernel one/,
  ],
  [
    "connection-unmanaged",
    "note",
    { connections: [held({ pathManager: "userspace" })], daemon: "userspace", managed: new Set() },
    /is not managed by the Subflow daemon/,
  ],
  [
    "connection-unmanaged",
    undefined,
    { connections: [held({ pathManager: "userspace" })], daemon: "userspace", managed: new Set([0xabcd]) },
  ],
  ["connection-unmanaged", "note", { connections: [held({})], daemon: "userspace" }, /in-kernel path manager, not/],
  ["firewall-invalid", "note", { firewall: suspect("invalid") }],
  [
    "firewall-invalid",
    undefined,
    { firewall: suspect("invalid"), ...withSysctl("net.netfilter.nf_conntrack_tcp_be_liberal", "1") },
  ],
  ["conntrack-full", "warning", withSysctl("net.netfilter.nf_conntrack_count", "65000")],
  ["blackhole", "warning", withCounters({ Blackhole: 1, MPCapableSYNTXDisabled: 3 })],
  ["blackhole", "note", withCounters({ Blackhole: 1 })],
  ["blackhole", undefined, { ...withCounters({ Blackhole: 1 }), ...withSysctl("net.mptcp.blackhole_timeout", "0") }],
  ["fallback", "note", withCounters({ MPCapableFallbackSYNACK: 1 })],
  ["middlebox", "warning", withCounters({ MPJoinSynAckHMacFailure: 1 }), /HMac/],
  ["middlebox", "warning", withCounters({ DSSCorruptionFallback: 1 }), /mapping/],
  ["join-rejected", "warning", withCounters({ MPJoinRejected: 2 })],
  ["join-rejected", "note", withCounters({ MPJoinRejected: 2, MPJoinAckRx: 100 })],
  ["join-failed", "warning", withCounters({ MPJoinSynAckRx: 0 })],
  ["join-failed", "note", withCounters({ MPJoinSynTxBindErr: 1 })],
  ["plain-applications", "note", { plainListeners: [{ address: ip("0.0.0.0"), port: 22 }] }, /0\.0\.0\.0:22/],
  ["buffers", "note", withSysctl("net.ipv4.tcp_rmem", "4096 65536 262144")],
  ["buffers", undefined, withSysctl("net.ipv4.tcp_rmem", "4096 65536 2097152")],
];

describe("diagnose", () => {
  test("a healthy host: every check once, all well", () => {
    const findings = diagnose(HEALTHY);
    assert.deepEqual(
      findings.filter(({ level }) => level !== "ok"),
      [],
    );
    assert.deepEqual(
      findings.map(({ id }) => id),
      CHECKS.map(({ id }) => id),
    );
    assert.equal(worstLevel(findings), "ok");
  });

  for (const [id, level, difference, seen = /./] of CASES) {
    test(`${id}: ${level ?? "not"} ${JSON.stringify(Object.keys(difference))}`, () => {
      const facts = { ...HEALTHY, ...difference };
      const findings = diagnose(facts).filter((finding) => finding.id === id && finding.level !== "ok");
      if (level === undefined) return assert.deepEqual(findings, []);
      assert.deepEqual(
        findings.map((finding) => finding.level),
        [level],
      );
      assert.match(findings[0]!.seen, seen);
      assert.notEqual(findings[0]!.why, "");
    });
  }

  test("every check has a case that provokes it", () => {
    const provoked = new Set(CASES.filter(([, level]) => level).map(([id]) => id));
    assert.deepEqual(
      CHECKS.map(({ id }) => id).filter((id) => !provoked.has(id)),
      [],
    );
  });

  test("what is safe has no step that only a person can take", () => {
    for (const [, , difference] of CASES) {
      for (const { safe, fix } of diagnose({ ...HEALTHY, ...difference })) {
        if (safe) assert.ok(fix.length > 0 && fix.every(({ type }) => type !== "shell"));
      }
    }
  });

  test("what could not be looked at is not called well", () => {
    const blind = { limits: undefined, counters: {}, isFirewallKnown: false, sysctls: new Map(), diag: undefined };
    const ids = new Set(diagnose({ ...HEALTHY, ...blind }).map(({ id }) => id));
    for (const id of [
      "source-route",
      "blackhole",
      "firewall-option",
      "conntrack-full",
      "kernel-diag",
      "mptcp-disabled",
    ]) {
      assert.ok(!ids.has(id), id);
    }
  });

  test("docs/doctor.md has a row for every check, and for no other", () => {
    const page = readFileSync(new URL("../../../docs/doctor.md", import.meta.url), "utf8");
    // Those of a program have a table of their own.
    const [host = ""] = page.split("## One program");
    const rows = [...host.matchAll(/^\| `([a-z0-9-]+)`/gm)].map(([, id]) => id);
    assert.deepEqual(
      rows,
      CHECKS.map(({ id }) => id),
    );
  });
});

test("commands of fixes are those that a person types, where the doctor was asked", () => {
  const add = {
    type: "endpoint.add",
    address: ip("10.0.2.1"),
    dev: "wlan0",
    port: 0,
    flags: subflow | backup,
  } as const;
  const limits = { type: "limits", subflows: 3 } as const;
  const sysctl = { type: "sysctl", name: "net.ipv4.tcp_rmem", value: "1 2 3" } as const;
  const ipFlags = new Set(["signal", "subflow", "backup", "fullmesh"]);
  const here = { netns: undefined, userspace: false, ipFlags };
  assert.equal(fixCommand(add, here), "ip mptcp endpoint add 10.0.2.1 dev wlan0 subflow backup");
  // What the installed ip(8) cannot take is written as ours.
  const laminar = { ...add, flags: subflow | ENDPOINT_FLAG.laminar };
  assert.equal(fixCommand(laminar, here), "subflow endpoint add 10.0.2.1 dev wlan0 subflow laminar");
  assert.equal(fixCommand(limits, { ...here, ipFlags: undefined }), "subflow limits set subflows 3");
  assert.equal(fixCommand(limits, { ...here, userspace: true }), "subflow limits set subflows 3");
  assert.equal(fixCommand(limits, { ...here, netns: "blue" }), "ip netns exec blue ip mptcp limits set subflows 3");
  assert.equal(
    fixCommand(sysctl, { ...here, netns: "/x/net" }),
    'nsenter --net=/x/net sysctl -w net.ipv4.tcp_rmem="1 2 3"',
  );
  assert.equal(fixCommand({ type: "shell", command: "mptcpize run X" }, { ...here, netns: "blue" }), "mptcpize run X");
});
