import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, route } from "../../test/fixtures/host-facts.ts";
import type { Route } from "../wire/index.ts";
import { FURTHER_MAX, RouteModel } from "./route-model.ts";

const onward = (nth: number, more: Partial<Route> = {}): Route =>
  route(2, "10.0.1.254", 0, { destination: ip(`20.0.${nth >> 8}.${nth & 255}`), destinationLength: 32, ...more });
const connected = route(2, "10.0.1.254", 0, {
  destination: ip("10.0.1.0"),
  destinationLength: 24,
  gateway: undefined,
  protocol: 2,
  preferredSource: ip("10.0.1.1"),
});
const byDefault = route(2, "10.0.1.254", 100);
const local = route(2, "10.0.1.254", 0, { type: 2, table: 255, destination: ip("10.0.1.1"), gateway: undefined });

function model(...routes: readonly Route[]): RouteModel {
  const made = new RouteModel();
  for (const each of routes) made.add(each);
  return made;
}

test("of a full table, default and connected routes stay, and the others are not even decoded", () => {
  const made = model(byDefault, connected);
  for (let nth = 0; nth < FURTHER_MAX; nth++) made.add(onward(nth));
  assert.equal(made.routes.length, 2 + FURTHER_MAX);
  assert.ok(made.wants(onward(FURTHER_MAX)));
  made.add(onward(FURTHER_MAX));
  assert.deepEqual(made.routes, [byDefault, connected]);
  assert.ok(!made.wants(onward(5)), "too many are too many until they are read anew");
  assert.ok(made.wants(onward(5, { outputInterface: 3 })), "another interface has room of its own");
  assert.ok(made.wants(route(2, "10.0.1.253", 200)), "a default route");
  assert.ok(made.wants(onward(5, { protocol: 154, table: 252 })), "one of ours");
  assert.ok(!made.wants(onward(5, { table: 100 })), "another table's");
});

test("what goes in silence is taken out: with its link, with its source, and by replacement", () => {
  const v6 = route(2, "fe80::1", 0);
  const down = model(byDefault, connected, local, onward(1), v6);
  assert.ok(down.isRouted(2, ip("10.0.1.1")));
  down.onLinkDown(2);
  assert.deepEqual(down.routes, [v6], "the kernel tells of IPv6 routes");
  assert.ok(!down.isRouted(2, ip("10.0.1.1")));

  const gone = model(byDefault, connected, onward(1, { preferredSource: ip("10.0.1.1") }), local);
  gone.onAddressGone(2, ip("10.0.1.1"));
  assert.deepEqual(gone.routes, [byDefault]);
  assert.ok(!gone.isRouted(2, ip("10.0.1.1")));

  const replaced = model(byDefault, connected);
  const other = route(3, "10.0.2.254", 100);
  replaced.replace(other);
  assert.deepEqual(replaced.routes, [connected, other], "by another interface's too");
});

test("two models are equal when a plan would come out the same", () => {
  assert.ok(model(byDefault, local).equals(model(local, byDefault)));
  assert.ok(!model(byDefault).equals(model(byDefault, local)));
  assert.ok(!model(byDefault).equals(model(byDefault, onward(1))));
  assert.ok(!model(byDefault).equals(model(route(2, "10.0.1.254", 101))));
});
