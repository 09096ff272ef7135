import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address } from "../types/index.ts";
import { type DiagRequest, encodeDiagRequest, encodeTcpDump, IPPROTO, Writer } from "./index.ts";

const path = (local: string, remote: string) => ({
  local: { address: local as Address, port: 0x1234 },
  remote: { address: remote as Address, port: 80 },
});
const zeros = (bytes: number) => "00".repeat(bytes);

// struct inet_diag_req_v2: family, protocol, ext, pad, states; ports, source, destination, interface, cookie (linux/inet_diag.h).
const CASES: readonly [string, DiagRequest, string][] = [
  [
    "a dump names no socket",
    { family: 2, protocol: IPPROTO.TCP, states: 2 },
    `02060200 02000000 00000000 ${zeros(32)} 00000000 ffffffff ffffffff`,
  ],
  [
    "a TCP socket by its 4-tuple and interface",
    { family: 2, protocol: IPPROTO.TCP, states: 2, id: { path: path("10.0.0.1", "10.0.0.2"), interfaceIndex: 3 } },
    `02060200 02000000 12340050 0a000001 ${zeros(12)} 0a000002 ${zeros(12)} 03000000 ffffffff ffffffff`,
  ],
  [
    "the same of IPv6",
    {
      family: 10,
      protocol: IPPROTO.TCP,
      states: 2,
      id: { path: path("2001:db8::1", "2001:db8::2"), interfaceIndex: 0 },
    },
    `0a060200 02000000 12340050 20010db8${zeros(11)}01 20010db8${zeros(11)}02 00000000 ffffffff ffffffff`,
  ],
  [
    "an MPTCP socket by its token; its protocol does not fit the byte",
    { family: 2, protocol: IPPROTO.MPTCP, states: 2, id: { token: 0xfedcba98 } },
    `02ff0200 02000000 00000000 ${zeros(32)} 00000000 98badcfe ffffffff 0800 0300 06010000`,
  ],
];

for (const [name, request, hex] of CASES) {
  test(`sock_diag request: ${name}`, () => {
    const writer = new Writer();
    encodeDiagRequest(writer, request);
    assert.equal(Buffer.from(writer.finish()).toString("hex"), hex.replaceAll(" ", ""));
  });
}

// struct inet_diag_req: family, source and destination length, ext; ports, source, destination, interface, cookie; states, dbs.
test("sock_diag request: one dump of both families", () => {
  const writer = new Writer();
  encodeTcpDump(writer, 0xbff);
  const hex = `02000002 00000000 ${zeros(32)} 00000000 ffffffff ffffffff ff0b0000 00000000`;
  assert.equal(Buffer.from(writer.finish()).toString("hex"), hex.replaceAll(" ", ""));
});
