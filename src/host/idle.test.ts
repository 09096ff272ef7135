import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostPlan } from "../host/index.ts";
import { idleReasons } from "./idle.ts";

const plan = (more: Partial<HostPlan>): HostPlan => ({ endpoints: [], leftOut: [], ...more }) as unknown as HostPlan;

test("a daemon with nothing to set says why, and one with something to set says nothing", () => {
  const leftOut = [
    { what: "10.0.1.1 dev wifi", reason: "wifi has no IPv4 default route", remedy: "set it" },
    { what: "fe80::1 dev wifi", reason: "link-local addresses are no paths", remedy: "" },
    { what: "tun0", reason: "a VPN", remedy: "" },
  ];
  assert.deepEqual(idleReasons(plan({ leftOut }), true).slice(1), [
    "10.0.1.1 dev wifi: wifi has no IPv4 default route; set it",
    "tun0: a VPN",
  ]);
  assert.match(idleReasons(plan({}), true).join(), /no interface has an address/);
  assert.match(idleReasons(plan({ leftOut: [leftOut[1]!] }), false).join(), /`automatic` is off/);
  assert.deepEqual(idleReasons(plan({ leftOut, endpoints: [{}] as unknown as HostPlan["endpoints"] }), true), []);
});
