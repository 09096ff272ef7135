import assert from "node:assert/strict";
import { test } from "node:test";
import type { Policy } from "../engine/index.ts";
import { activeBackup, policies, refresh, resilient } from "../policies/index.ts";
import { Stage } from "./index.ts";

const backup = activeBackup as Policy;

test("treatment: no subflow before the delay is over, and why says so", () => {
  const stage = new Stage({ policy: resilient, locals: 3, delay: 500 });
  stage.pass(499);
  assert.equal(stage.subflows, "0>0");
  const [left] = stage.engine.why(1, stage.now)?.leftOut ?? [];
  assert.match(left?.reason ?? "", /the connection is young: subflows are opened in 0\.0 s/);
  stage.pass(100);
  assert.equal(stage.subflows, "0>0 1>0 2>0");
});

test("treatment: a delay is no hindrance where the subflow that it began with is gone", () => {
  const stage = new Stage({ policy: resilient, locals: 2, delay: 60_000 });
  stage.reset(0, 0);
  stage.pass(1000);
  assert.match(stage.subflows, /1>0/);
});

test("treatment: a policy plans by the parameters that are given", () => {
  for (const [given, waits] of [
    [{ hold_down: 20_000 }, 19_000],
    [{}, 4000],
  ] as const) {
    const stage = new Stage({ policy: backup, locals: 2, given });
    stage.pass(1000);
    stage.reset(0, 0);
    stage.pass(1000);
    assert.equal(stage.subflows, "0>0 1>0", "the first one is back");
    assert.equal(stage.backups, "0>0");
    stage.pass(waits - 1500);
    assert.equal(stage.backups, "0>0", `${waits}`);
    stage.pass(3000);
    assert.equal(stage.backups, "1>0");
  }
});

test("treatment: one connection gets another policy; a wrong one is refused and nothing changes", () => {
  const stage = new Stage({ policy: resilient, others: policies, locals: 2 });
  stage.pass(1000);
  assert.equal(stage.backups, "");
  assert.match(stage.setPolicy("activ") ?? "", /there is no policy activ; there are resilient, standard/);
  assert.match(stage.setPolicy("active-backup", { hold: "3s" }) ?? "", /has no parameter hold; it has hold_down/);
  assert.match(stage.setPolicy("active-backup", { hold_down: "3" }) ?? "", /hold_down: "3" is not a time/);
  assert.equal(stage.engine.connection(1)?.policy, "resilient");
  assert.equal(stage.setPolicy("active-backup", { hold_down: "3s" }), undefined);
  assert.equal(stage.engine.connection(1)?.policy, "active-backup hold_down=3s");
  assert.equal(stage.backups, "1>0");
});

test("treatment: what was asked for one connection stays when the configuration is read again", () => {
  const stage = new Stage({ policy: resilient, others: policies, locals: 2 });
  assert.equal(stage.setPolicy("active-backup"), undefined);
  stage.engine.handle({ type: "config.changed", policy: "refresh" }, stage.now);
  assert.equal(stage.engine.connection(1)?.policy, "active-backup");
  assert.equal(stage.engine.policy, "refresh");
});

test("treatment: where a policy measures, a connection with one subflow is looked at; without, none is", () => {
  assert.equal(new Stage({ policy: refresh as Policy, locals: 1 }).engine.watchedCount, 1);
  assert.equal(new Stage({ policy: resilient, locals: 1 }).engine.watchedCount, 0);
});
