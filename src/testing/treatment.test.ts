import assert from "node:assert/strict";
import { test } from "node:test";
import type { Policy } from "../engine/index.ts";
import { activeBackup, policies, refresh, resilient } from "../policies/index.ts";
import { Stage } from "./index.ts";

const ALICE = { socket: { uid: 1000, cgroup: "/user.slice" } };
const BACKUP = { policy: "active-backup" };

const backup = activeBackup as Policy;

test("treatment: no subflow before the delay is over, and why says so", () => {
  const stage = new Stage({ policy: resilient, locals: 3, delay: { age: 500 } });
  stage.pass(499);
  assert.equal(stage.subflows, "0>0");
  const [left] = stage.engine.why(1, stage.now)?.leftOut ?? [];
  assert.match(left?.reason ?? "", /the connection is young: subflows are opened in 0\.0 s/);
  stage.pass(100);
  assert.equal(stage.subflows, "0>0 1>0 2>0");
});

test("treatment: a delay is no hindrance where the subflow that it began with is gone", () => {
  const stage = new Stage({ policy: resilient, locals: 2, delay: { age: 60_000 } });
  stage.reset(0, 0);
  stage.pass(1000);
  assert.match(stage.subflows, /1>0/);
});

test("treatment: no subflow before so much was carried, or the time is over, whichever comes first", () => {
  const amount = new Stage({ policy: resilient, locals: 2, delay: { bytes: 64_000 } });
  amount.pass(60_000);
  amount.count(63_999);
  assert.deepEqual([amount.subflows, amount.engine.waitingCount], ["0>0", 1]);
  const [left] = amount.engine.why(1, amount.now)?.leftOut ?? [];
  assert.match(
    left?.reason ?? "",
    /young: subflows are opened when it has carried 64kB \(63\.9kB so far\) \(`delay`\)/,
  );
  amount.count(64_000);
  amount.pass(100);
  assert.deepEqual([amount.subflows, amount.engine.waitingCount], ["0>0 1>0", 0], "and nobody counts any more");
  const both = new Stage({ policy: resilient, locals: 2, delay: { age: 500, bytes: 64_000 } });
  const [young] = both.engine.why(1, both.now)?.leftOut ?? [];
  assert.match(young?.reason ?? "", /opened in 0\.5 s, or when it has carried 64kB \(0B so far\)/);
  both.pass(600);
  assert.equal(both.subflows, "0>0 1>0");
  assert.deepEqual([both.engine.waiting(8), both.engine.waitingCount], [[], 0], "it waits no more");
});

test("treatment: nothing is counted where no subflow is wanted, or the connection has ended", () => {
  const alone = new Stage({ policy: resilient, locals: 1, delay: { bytes: 1 } });
  assert.equal(alone.engine.waitingCount, 0);
  const ended = new Stage({ policy: resilient, locals: 2, delay: { bytes: 1 } });
  assert.equal(ended.engine.waitingCount, 1);
  ended.engine.handle({ type: "connection.closed", token: 1 }, ended.now);
  assert.equal(ended.engine.waitingCount, 0);
});

test("treatment: a delay can be asked for, for one connection, with its policy", () => {
  const stage = new Stage({ policy: resilient, locals: 2, delay: { bytes: 64_000 } });
  assert.match(stage.setPolicy("resilient", { delay: "soon" }) ?? "", /delay: "soon" is neither a time as "500ms" nor/);
  assert.equal(stage.setPolicy("resilient", { delay: "1kB or 3s" }), undefined);
  stage.count(1000);
  stage.pass(100);
  assert.equal(stage.subflows, "0>0 1>0");
  const other = new Stage({ policy: resilient, locals: 2, delay: { bytes: 64_000 } });
  assert.equal(other.setPolicy("resilient", { delay: "0" }), undefined);
  other.pass(100);
  assert.equal(other.subflows, "0>0 1>0", "none any more");
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

test("rules: the first that matches says how a connection is treated, `connections` and `why` name it", () => {
  const rules = [
    { name: "servers", match: { side: "server" as const }, policy: "standard" },
    { name: "web", match: { remotePorts: [[80, 80] as const] }, ...BACKUP },
    { name: "rest", match: {}, policy: "refresh" },
  ];
  const stage = new Stage({ policy: resilient, others: policies, locals: 2, rules });
  stage.pass(1000);
  assert.equal(stage.backups, "1>0");
  const shown = stage.engine.connection(1);
  assert.deepEqual([shown?.policy, shown?.rule], ["active-backup", "web"]);
});

test("rules: without one that matches all is as without rules", () => {
  const stage = new Stage({
    policy: resilient,
    locals: 2,
    rules: [{ name: "x", match: { side: "server" }, delay: { age: 9e5 } }],
  });
  stage.pass(1000);
  assert.equal(stage.subflows, "0>0 1>0");
  assert.equal(stage.engine.connection(1)?.rule, "");
});

test("rules: nothing is planned before it is known whose the connection is, and all of it then", () => {
  const rules = [{ name: "alice", match: { users: [1000] }, ...BACKUP }];
  const known = new Stage({ policy: resilient, others: policies, locals: 2, rules, owner: ALICE });
  known.pass(1000);
  assert.deepEqual([known.subflows, known.backups, known.engine.connection(1)?.rule], ["0>0 1>0", "1>0", "alice"]);
  const never = new Stage({ policy: resilient, others: policies, locals: 2, rules });
  never.pass(1900);
  assert.equal(never.subflows, "0>0");
  never.pass(1000);
  assert.deepEqual([never.subflows, never.engine.connection(1)?.rule], ["0>0 1>0", ""], "not for ever");
});

test("rules: limits, and interfaces that are forbidden, or for backup, or alone allowed", () => {
  const begin = (interfaces: object, limits = {}) => {
    const rules = [{ name: "r", match: {}, interfaces, limits }];
    const stage = new Stage({ policy: resilient, locals: 3, rules, interfaceNames: ["eth0", "wlan0", "wwan0"] });
    stage.pass(1000);
    return stage;
  };
  assert.equal(begin({ deny: ["wwan*"] }).subflows, "0>0 1>0");
  assert.equal(begin({ allow: ["eth0", "wwan0"] }).subflows, "0>0 2>0");
  assert.equal(begin({ backup: ["w*"] }).backups, "1>0 2>0");
  assert.equal(begin({ backup: ["eth0"] }).subflows, "0>0 1>0 2>0");
  assert.equal(begin({}, { subflows: 1 }).subflows, "0>0 1>0");
});

test("rules: the subflow that it began with is left where its interface is forbidden, when there is another", () => {
  const rules = [{ name: "r", match: {}, interfaces: { deny: ["wwan0"] } }];
  const alone = new Stage({ policy: resilient, locals: 1, rules, interfaceNames: ["wwan0"] });
  alone.pass(10_000);
  assert.equal(alone.subflows, "0>0", "never the last");
  const two = new Stage({ policy: resilient, locals: 2, rules, interfaceNames: ["wwan0", "eth0"] });
  two.pass(1000);
  assert.equal(two.subflows, "1>0");
});

test("rules: other rules are for connections that there are too, and what does not differ begins nothing anew", () => {
  const stage = new Stage({ policy: resilient, others: policies, locals: 2 });
  stage.pass(1000);
  const before = stage.log.length;
  stage.setRules([{ name: "same", match: {}, policy: "resilient" }]);
  assert.equal(stage.log.length, before, "nothing to do");
  assert.equal(stage.engine.connection(1)?.rule, "same");
  stage.setRules([{ name: "other", match: {}, ...BACKUP }]);
  assert.equal(stage.backups, "1>0");
  stage.setRules([]);
  assert.equal(stage.engine.connection(1)?.policy, "resilient");
});

test("treatment: what one connection asked for in measurements ends with it, or with its policy", () => {
  const stage = new Stage({ policy: resilient, others: policies, locals: 2 });
  stage.pass(1000);
  assert.equal(stage.engine.measures, Number.POSITIVE_INFINITY);
  stage.setPolicy("refresh");
  assert.equal(stage.engine.measures, 1000);
  stage.setPolicy("resilient");
  assert.equal(stage.engine.measures, Number.POSITIVE_INFINITY);
  stage.setPolicy("refresh");
  stage.engine.handle({ type: "connection.closed", token: 1 }, stage.now);
  assert.equal(stage.engine.measures, Number.POSITIVE_INFINITY);
});
