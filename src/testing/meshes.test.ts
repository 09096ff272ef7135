import assert from "node:assert/strict";
import { test } from "node:test";
import { announceOnly, fullmesh, ndiffports, none, oneToOne } from "../policies/index.ts";
import { ENDPOINT_FLAG } from "../types/index.ts";
import { Stage, type StageOptions } from "./stage.ts";

// Policies that say which pairs of addresses have subflows. What each must keep, whatever it decides, is held in laws.test.ts.

function settled(options: StageOptions): Stage {
  const stage = new Stage(options);
  stage.pass(2000);
  return stage;
}

const announced = (stage: Stage): string =>
  stage.log.flatMap(({ action }) => (action.type === "address.announce" ? [action.address] : [])).join(" ");

test("fullmesh: every pair has a subflow, as far as the limit allows", () => {
  assert.equal(settled({ policy: fullmesh, locals: 3, remotes: 2 }).subflows, "0>0 0>1 1>0 1>1 2>0 2>1");
  assert.equal(settled({ policy: fullmesh, locals: 2, remotes: 2, limits: { subflows: 2 } }).subflows.length, 11);
});

test("ndiffports: so many subflows of each pair, from different ports; one of each first", () => {
  const stage = settled({ policy: ndiffports, locals: 2, given: { subflows: 3 } });
  assert.equal(stage.subflows, "0>0 0>0 0>0 1>0 1>0 1>0");
  const ports = stage.engine.snapshot().connections[0]?.subflows.map(({ path }) => path.local.port) ?? [];
  assert.equal(new Set(ports).size, 6);
  const few = settled({ policy: ndiffports, locals: 2, given: { subflows: 3 }, limits: { subflows: 2 } });
  assert.equal(few.subflows, "0>0 0>0 1>0");
});

test("ndiffports: what is lost comes back; set lower, the youngest go", () => {
  const stage = settled({ policy: ndiffports, locals: 2 });
  stage.reset(0, 0);
  assert.equal(stage.subflows, "0>0 1>0 1>0");
  stage.pass(2000);
  assert.equal(stage.subflows, "0>0 0>0 1>0 1>0");
  assert.equal(stage.setPolicy("ndiffports", { subflows: "1" }), undefined);
  stage.pass(2000);
  assert.equal(stage.subflows, "0>0 1>0");
});

test("one-to-one: the first with the first, the second with the second", () => {
  assert.equal(settled({ policy: oneToOne, locals: 3, remotes: 3 }).subflows, "0>0 1>1 2>2");
});

test("one-to-one: what is left over on one side is paired too, or not", () => {
  assert.equal(settled({ policy: oneToOne, locals: 3, remotes: 1 }).subflows, "0>0 1>0 2>0");
  assert.equal(settled({ policy: oneToOne, locals: 3, remotes: 1, given: { wrap: false } }).subflows, "0>0");
  const more = settled({ policy: oneToOne, locals: 2, remotes: 4 });
  assert.equal(more.subflows, "0>0 0>3 1>1 1>2");
  assert.equal(settled({ policy: oneToOne, locals: 2, remotes: 4, given: { wrap: false } }).subflows, "0>0 1>1");
});

test("one-to-one: an address that is announced late gets its counterpart, which had another until then", () => {
  const stage = settled({ policy: oneToOne, locals: 2, remotes: 1 });
  assert.equal(stage.subflows, "0>0 1>0");
  stage.announce(1);
  stage.pass(2000);
  assert.equal(stage.subflows, "0>0 1>1");
});

test("one-to-one: a pair that fails is tried on, and its address has another meanwhile", () => {
  const stage = new Stage({ policy: oneToOne, locals: 2, remotes: 2 });
  stage.path(1, 1, "refusing");
  stage.pass(3000);
  assert.equal(stage.subflows, "0>0 0>1 1>0", "both of its addresses are in another pair");
  stage.path(1, 1, "open");
  stage.pass(60_000);
  assert.equal(stage.subflows, "0>0 1>1");
});

test("announce-only: every address is announced, nothing is opened", () => {
  for (const side of ["client", "server"] as const) {
    const stage = settled({ policy: announceOnly, locals: 3, remotes: 2, side, flags: ENDPOINT_FLAG.subflow });
    assert.deepEqual([stage.subflows, announced(stage)], ["0>0", "10.0.1.1 10.0.2.1"], side);
  }
});

test("none: nothing is opened, nothing announced, what the peer opens is taken within the limit", () => {
  const stage = settled({ policy: none, locals: 3, side: "server", limits: { subflows: 1 } });
  stage.join(0, 1);
  stage.join(0, 2);
  stage.pass(2000);
  assert.deepEqual([stage.subflows, announced(stage)], ["0>0 0>1", ""]);
});

test("none, asked for while it runs: what there is stays, what is lost does not come back", () => {
  const stage = new Stage({ policy: fullmesh, others: [none], locals: 2 });
  stage.pass(1000);
  assert.equal(stage.setPolicy("none"), undefined);
  stage.pass(2000);
  assert.equal(stage.subflows, "0>0 1>0");
  stage.reset(1, 0);
  stage.pass(60_000);
  assert.equal(stage.subflows, "0>0");
});
