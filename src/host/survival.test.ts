import assert from "node:assert/strict";
import { test } from "node:test";
import { address, FACTS, ip, link } from "../../test/fixtures/host-facts.ts";
import type { HostChange } from "./actions.ts";
import type { HostFacts } from "./facts.ts";
import { spareLastPaths } from "./survival.ts";

const WIFI = ip("10.0.1.1");
const CELL = ip("10.0.2.1");

const facts = (wifi: boolean, cell: boolean): HostFacts => ({
  ...FACTS,
  links: [link(2, "wifi", { carrier: wifi }), link(3, "cell", { carrier: cell })],
  addresses: [address(2, WIFI), address(3, CELL)],
});
const deletion = (which: typeof WIFI): HostChange => ({
  type: "endpoint.delete",
  id: 1,
  address: which,
  port: 0,
  foreign: false,
});
const lifelines = (...connections: (typeof WIFI)[][]) => connections.map((addresses) => new Set(addresses));

test("survival: an endpoint goes when every connection that uses it has another path that works", () => {
  const actions = [deletion(WIFI)];
  const { permitted, spared } = spareLastPaths(actions, lifelines([WIFI, CELL], [CELL]), facts(false, true));
  assert.deepEqual([permitted, spared], [actions, []]);
});

test("survival: one connection that has nothing else is enough to keep it", () => {
  const all = lifelines([WIFI, CELL], [WIFI], [WIFI]);
  const { permitted, spared } = spareLastPaths([deletion(WIFI)], all, facts(false, true));
  assert.deepEqual([permitted, spared], [[], [{ key: WIFI, connections: 2 }]]);
});

test("survival: a path does not count that is dead, gone, or to go as well", () => {
  const connection = lifelines([WIFI, CELL]);
  assert.equal(spareLastPaths([deletion(WIFI)], connection, facts(false, false)).spared.length, 1, "dead");
  const gone = { ...facts(false, true), addresses: [address(2, WIFI)] };
  assert.equal(spareLastPaths([deletion(WIFI)], connection, gone).spared.length, 1, "gone");
  const both = spareLastPaths([deletion(WIFI), deletion(CELL)], connection, facts(true, true));
  assert.equal(both.spared.length, 2, "to go as well");
});

test("survival: what is changed by deleting and adding waits as a whole, and everything else is done", () => {
  const add: HostChange = {
    type: "endpoint.add",
    endpoint: { address: WIFI, port: 0, id: 0, flags: 2, interfaceIndex: 2, dev: "wifi", because: "" },
  };
  const limits: HostChange = { type: "limits.set", limits: { subflows: 2, addAddrAccepted: 0 } };
  const { permitted } = spareLastPaths([deletion(WIFI), limits, add], lifelines([WIFI]), facts(true, true));
  assert.deepEqual(permitted, [limits]);
});
