import assert from "node:assert/strict";
import { test } from "node:test";
import { CAPTURED, captured } from "../../test/captured/linux-6.18.ts";
import { addressBytes } from "../types/index.ts";
import * as wire from "./index.ts";

function event(name: keyof typeof CAPTURED) {
  const { bytes, header } = captured(name);
  return wire.decodeEvent(bytes, header);
}

const U32 = (hex: string) => Buffer.from(hex, "hex").readUInt32LE(0);
/** Tokens differ from capture to capture: read at the place where the kernel puts them. */
const tokenOf = (name: keyof typeof CAPTURED) => U32(CAPTURED[name].slice(16, 24));

test("CREATED of a client: 4-tuple, ids, no side", () => {
  const created = event("clientCreated");
  assert.equal(created.type, 1);
  assert.equal(created.token, tokenOf("clientCreated"));
  assert.deepEqual(
    [created.localAddress, created.remoteAddress, created.remotePort, created.localId, created.remoteId],
    ["10.0.1.1", "10.0.1.2", 5001, 0, 0],
  );
  assert.equal(created.serverSide, undefined);
  assert.deepEqual(created.unknown, []);
});

test("CREATED of a dual-stack server: v4-mapped addresses, side in both forms", () => {
  const created = event("serverCreated");
  assert.equal(created.family, 10);
  assert.equal(created.localAddress, "::ffff:10.0.1.2");
  assert.equal(created.localPort, 5001, "ports of events are in network order");
  assert.equal(created.serverSide, 1);
  assert.equal(created.flags, 2);
});

test("ANNOUNCED, SUB_ESTABLISHED, SUB_PRIORITY, SUB_CLOSED, REMOVED, CLOSED", () => {
  const announced = event("clientAnnounced");
  assert.deepEqual(
    [announced.remoteId, announced.remoteAddress, announced.remotePort, announced.localAddress],
    [7, "10.0.2.2", 5001, undefined],
  );
  const joined = event("serverSubEstablished");
  assert.deepEqual(
    [joined.localId, joined.remoteId, joined.backup, joined.remoteAddress],
    [7, 3, 1, "::ffff:10.0.2.1"],
  );
  assert.equal(event("serverSubPriority").backup, 0);
  assert.equal(event("clientSubClosed").localAddress, "10.0.2.1");
  assert.equal(event("serverRemoved").remoteId, 3);
  assert.equal(event("clientClosed").token, tokenOf("clientClosed"));
  assert.equal(event("serverListenerCreated").localPort, 5001);
});

test("endpoints and limits", () => {
  const one = captured("endpoint1");
  assert.deepEqual(wire.decodeEndpoint(one.bytes, one.header), {
    id: 1,
    address: "10.0.2.1",
    port: 0,
    flags: 2,
    interfaceIndex: 2,
  });
  const two = captured("endpoint2");
  const endpoint = wire.decodeEndpoint(two.bytes, two.header);
  assert.deepEqual([endpoint.address, endpoint.port, endpoint.flags], ["2001:db8:2::1", 8080, 1], "host order");
  const limits = captured("limits1");
  assert.deepEqual(wire.decodeLimits(limits.bytes, limits.header), { subflows: 2, addAddrAccepted: 0 });
});

test("an endpoint that is encoded is what the kernel sent, byte for byte", () => {
  const { bytes } = captured("endpoint1");
  const writer = new wire.Writer();
  wire.genlHeader(writer, 3, 1);
  // The kernel does not set NLA_F_NESTED... it does for this nest; order and padding are ours to match.
  const { addr } = wire.decode(wire.PM_ATTRIBUTE, bytes, wire.GENL_HEADER, bytes.length);
  wire.encode(writer, wire.PM_ATTRIBUTE, { addr });
  const again = wire.decode(wire.PM_ATTRIBUTE, writer.bytes, wire.GENL_HEADER, writer.length);
  assert.deepEqual(again.addr, addr);
  assert.equal(writer.length, bytes.length);
});

test("the family's description", () => {
  const { bytes, header } = captured("family1");
  const family = wire.decodeFamily(bytes, header);
  assert.equal(family.name, "mptcp_pm");
  assert.deepEqual(family.operations, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.deepEqual([...family.groups.keys()], ["mptcp_pm_cmds", "mptcp_pm_events"]);
});

test("a refusal with the kernel's text and the missing attribute", () => {
  const { bytes } = captured("errorDatagram");
  const found: wire.Acknowledgement[] = [];
  wire.eachMessage(bytes, 0, bytes.length, (header) => found.push(wire.decodeAcknowledgement(bytes, header)));
  assert.equal(found.length, 1);
  assert.equal(found[0]?.errno, 95);
  assert.equal(found[0]?.message, "missing address ID");
  const request = captured("errorRequest");
  const at = found[0]?.offset ?? -1;
  assert.equal(
    wire.attributeAt(wire.PM_ATTRIBUTE, request.bytes, wire.NLMSG_HEADER + wire.GENL_HEADER, request.bytes.length, at),
    "addr",
  );
});

test("an MPTCP socket and its two subflows in sock_diag", () => {
  const mptcp = captured("diagMptcp1");
  const socket = wire.decodeDiagSocket(mptcp.bytes, mptcp.header, wire.IPPROTO.MPTCP);
  assert.equal(socket.state, "established");
  assert.equal(socket.mptcp?.token, tokenOf("clientCreated"));
  assert.deepEqual([socket.mptcp?.extraSubflows, socket.mptcp?.subflowsTotal], [1, 2]);
  assert.deepEqual([socket.mptcp?.bytesSent, socket.mptcp?.bytesReceived], [5, 5]);
  assert.equal(socket.cgroup, 1);
  const subflows = (["diagTcp1", "diagTcp2"] as const).map((name) => {
    const { bytes, header } = captured(name);
    return wire.decodeDiagSocket(bytes, header, wire.IPPROTO.TCP);
  });
  const initial = subflows.find(({ subflow }) => subflow?.localId === 0);
  const join = subflows.find(({ subflow }) => subflow?.localId === 3);
  assert.equal((initial?.subflow?.flags ?? 0) & 0xf, wire.SUBFLOW_FLAG.MCAP_REM | wire.SUBFLOW_FLAG.MCAP_LOC);
  assert.equal(join?.subflow?.remoteId, 7);
  assert.equal(join?.local.address, "10.0.2.1");
  assert.ok((join?.tcp?.rtt ?? 0) > 0 && (join?.tcp?.mss ?? 0) === 1448);
});

test("links, addresses, routes, rules", () => {
  const link = captured("link2");
  const veth = wire.decodeLink(link.bytes, link.header);
  assert.deepEqual([veth.name, veth.kind, veth.carrier, veth.operationalState], ["a1", "veth", true, "up"]);
  const { index, name, received, sent } = wire.decodeLinkBytes(link.bytes, link.header);
  assert.deepEqual([index, name, received > 0, sent > 0], [2, "a1", true, true]);
  const address = captured("address2");
  const found = wire.decodeInterfaceAddress(address.bytes, address.header);
  assert.deepEqual(
    [found.address, found.prefixLength, found.interfaceIndex, found.peer],
    ["10.0.1.1", 24, 2, undefined],
  );
  const route = captured("route1");
  const gateway = wire.decodeRoute(route.bytes, route.header);
  assert.deepEqual(
    [gateway.destination, gateway.gateway, gateway.table, gateway.outputInterface],
    [undefined, "10.0.2.2", 1002, 3],
  );
  const rule = captured("rule2");
  const from = wire.decodeRule(rule.bytes, rule.header);
  assert.deepEqual(
    [from.priority, from.source, from.sourceLength, from.table, from.protocol],
    [500, "10.0.2.1", 32, 1002, 77],
  );
});

test("the expected word of a local route is what the kernel sends, in all that may not be otherwise", () => {
  const { bytes, header } = captured("localRouteAdded");
  const address = wire.decodeRoute(bytes, header).destination!;
  const { message, flags, ...parts } = wire.expectedLocalRoute(address, 3);
  assert.deepEqual(message.subarray(wire.NLMSG_HEADER), bytes.subarray(header.from, header.to));
  assert.equal(flags.at, 6);
  const other = wire.expectedLocalRoute("172.31.254.253" as typeof address, 0x01020304).message;
  const differing = [...message.keys()].filter((at) => message[at] !== other[at]);
  const named = Object.values(parts).flatMap(({ at, length }) => Array.from({ length }, (_, nth) => at + nth));
  assert.deepEqual(
    differing,
    named.sort((a, b) => a - b),
  );
});

for (const [name, expect] of [
  ["localRoute6Added", (route: wire.Route) => wire.expectedLocalRoute6(route.destination!, route.outputInterface)],
  ["defaultRouteAdded", wire.expectedDefaultRoute],
  ["leasedRouteAdded", wire.expectedDefaultRoute],
  ["advertisedRouteAdded", wire.expectedDefaultRoute],
] as const) {
  test(`what is expected of ${name} is how the kernel's message begins, and its anchor stands in it`, () => {
    const { bytes, header } = captured(name);
    const route = wire.decodeRoute(bytes, header);
    const { message, varying, anchor } = expect(route);
    const begins = bytes.subarray(header.from, header.from + message.length - wire.NLMSG_HEADER);
    assert.deepEqual(message.subarray(wire.NLMSG_HEADER), begins);
    assert.deepEqual(
      varying.map(({ at }) => at),
      [0, 6],
    );
    const word = wire.readU32(message, anchor.at);
    const { destination } = route;
    const expected = destination === undefined ? route.outputInterface : addressBytes(destination)!.slice(-4);
    assert.deepEqual(
      typeof expected === "number" ? word : [...message.subarray(anchor.at, anchor.at + 4)],
      typeof expected === "number" ? expected : [...expected],
    );
  });
}
