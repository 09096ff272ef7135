import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address, CONFIG, FACTS, link, NOTHING, route } from "../../test/fixtures/host-facts.ts";
import { ENDPOINT_FLAG } from "../types/index.ts";
import { coverageGaps, kernelPairs, type PeerKind } from "./covering.ts";
import * as host from "./index.ts";

const { subflow, fullmesh, laminar } = ENDPOINT_FLAG;
const MESHED = subflow | fullmesh;
const ROOM = { subflows: 8, addAddrAccepted: 8 };
const plain = (count: number, flags: number) => Array.from({ length: count }, () => flags);
const shown = (flags: readonly number[], limits: typeof ROOM, peer: PeerKind) =>
  kernelPairs(flags, limits, peer)
    .map(([local, remote]) => `c${local + 1}-s${remote + 1}`)
    .sort()
    .join(" ");

describe("what the in-kernel algorithm makes of endpoints, as measured on Linux 6.18 by the bench `covering`", () => {
  const laminars: [number, number, boolean, string][] = [
    [1, 2, false, "c1-s1"],
    [2, 2, false, "c1-s1 c2-s1"],
    [2, 2, true, "c1-s1 c2-s2"],
    [2, 4, true, "c1-s1 c2-s2"],
    [3, 3, false, "c1-s1 c2-s1 c3-s1"],
    [3, 3, true, "c1-s1 c2-s2 c3-s3"],
    [4, 2, true, "c1-s1 c2-s2"],
    [4, 4, true, "c1-s1 c2-s2 c3-s3 c4-s4"],
  ];
  const meshed: [number, number, boolean, string][] = [
    [1, 4, false, "c1-s1 c1-s2 c1-s3 c1-s4"],
    [2, 2, false, "c1-s1 c1-s2 c2-s1 c2-s2"],
    [2, 3, true, "c1-s1 c1-s2 c1-s3 c2-s2 c2-s3"],
    [3, 4, false, "c1-s1 c1-s2 c1-s3 c2-s1 c2-s2 c2-s3 c3-s1 c3-s2 c3-s3"],
    [3, 4, true, "c1-s1 c1-s2 c1-s3 c1-s4 c2-s2 c2-s3 c2-s4 c3-s2 c3-s3"],
    [4, 3, false, "c1-s1 c1-s2 c1-s3 c2-s1 c2-s2 c3-s1 c3-s2 c4-s1 c4-s2"],
    [4, 4, true, "c1-s1 c1-s2 c1-s3 c2-s2 c2-s3 c3-s2 c3-s3 c4-s2 c4-s3"],
  ];
  for (const [word, extra, cases] of [
    ["laminar", laminar, laminars],
    ["fullmesh", fullmesh, meshed],
  ] as const) {
    for (const [local, addresses, denies, expected] of cases) {
      test(`${word}: ${local} by ${addresses}${denies ? ", joins to the initial address denied" : ""}`, () =>
        assert.equal(shown(plain(local, subflow | extra), ROOM, { addresses, denies }), expected));
    }
  }
});

describe("fullmesh, so that addresses are covered", () => {
  const limitsFor = (count: number) => ({ subflows: Math.min(8, 4 * count - 1), addAddrAccepted: 8 });
  /** The best endpoint, from which connections begin, and the others. */
  const ours = (count: number) => (count === 1 ? [MESHED] : [subflow, ...plain(count - 1, MESHED)]);

  test("up to four by four, all but what eight more subflows cannot cover", () => {
    const gaps = [1, 2, 3, 4].flatMap((count) =>
      coverageGaps(ours(count), limitsFor(count)).map(
        ({ addresses, denies }) => `${count}x${addresses}${denies ? " denies" : ""}`,
      ),
    );
    assert.deepEqual(gaps, ["4x4"]);
  });

  test("none of the other choices of flags covers more kinds of peers", () => {
    const kinds = [subflow, subflow | laminar, MESHED];
    const choices = (count: number): number[][] =>
      count === 0 ? [[]] : choices(count - 1).flatMap((rest) => kinds.map((flags) => [...rest, flags]));
    for (const count of [1, 2, 3, 4]) {
      const limits = limitsFor(count);
      const best = coverageGaps(ours(count), limits).length;
      for (const flags of choices(count)) assert.ok(coverageGaps(flags, limits).length >= best, flags.join());
    }
  });

  test("families are covered each by itself; a backup stays one", () => {
    const links = [link(2, "wlan0", { interfaceKind: "wifi" }), link(3, "wwan0", { interfaceKind: "cellular" })];
    const addresses = [address(2, "10.0.1.1"), address(2, "2001:db8:1::1"), address(3, "10.0.2.1")];
    const routes = [route(2, "10.0.1.254"), route(2, "fe80::1"), route(3, "10.0.2.254", 700)];
    const interfaces = [{ match: { name: "wwan0" }, role: "backup" as const, alsoWithoutDefaultRoute: false }];
    const { endpoints } = host.planHost({ ...FACTS, links, addresses, routes }, { ...CONFIG, interfaces }, NOTHING);
    assert.deepEqual(
      endpoints.map((each) => `${each.address} ${host.flagWords(each.flags)}`),
      ["10.0.1.1 subflow laminar", "2001:db8:1::1 subflow fullmesh", "10.0.2.1 subflow backup fullmesh"],
    );
  });
});

describe("what is not covered, for people", () => {
  const endpoints = (count: number, flags: number) =>
    Array.from({ length: count }, (_, index) => ({ address: address(2, `10.0.${index + 1}.1`).address, flags }));

  test("nothing, for two endpoints that are fullmesh", () =>
    assert.deepEqual(host.coverageTexts(endpoints(2, subflow | fullmesh), ROOM), []));

  test("the smallest peer of each kind", () => {
    assert.deepEqual(host.coverageTexts(endpoints(4, subflow | fullmesh), ROOM), [
      "a peer with 4 IPv4 addresses: no subflow to 1 of its addresses",
      "a peer with 4 IPv4 addresses that forbids joins to its initial one: no subflow to 1 of its addresses",
    ]);
    assert.deepEqual(host.coverageTexts(endpoints(3, subflow | laminar), ROOM), [
      "a peer with 2 or more IPv4 addresses: no subflow to 1 of its addresses",
      "a peer with 2 or more IPv4 addresses that forbids joins to its initial one: no subflow from 1 of this host's addresses",
    ]);
  });
});
