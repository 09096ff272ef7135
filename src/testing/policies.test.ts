import assert from "node:assert/strict";
import { test } from "node:test";
import { activeBackup, onePerInterface, refresh } from "../policies/index.ts";
import { ENDPOINT_FLAG, type Millis } from "../types/index.ts";
import { type Figures, Stage } from "./stage.ts";

// What each must keep, whatever it decides, is held in laws.test.ts.

test("one-per-interface: one subflow for each interface, whatever the addresses", () => {
  const stage = new Stage({ policy: onePerInterface, locals: 4, remotes: 2, interfaces: [3, 3, 4, 4] });
  stage.pass(1000);
  assert.equal(stage.subflows, "0>0 2>0");
});

test("one-per-interface: where one pair of an interface fails, another of it is tried", () => {
  const stage = new Stage({ policy: onePerInterface, locals: 3, remotes: 2, interfaces: [3, 4, 4] });
  stage.path(1, 0, "refusing");
  stage.pass(1000);
  assert.equal(stage.subflows, "0>0 1>1");
  stage.reset(1, 1);
  for (const r of [0, 1]) stage.path(1, r, "refusing");
  stage.pass(5000);
  assert.match(stage.subflows, /^0>0 2>[01]$/);
});

test("one-per-interface: an endpoint of no interface counts by itself", () => {
  const stage = new Stage({ policy: onePerInterface, locals: 3 });
  stage.pass(1000);
  assert.equal(stage.subflows, "0>0 1>0 2>0");
});

test("active-backup: one is active, the others are ready; the next takes over at once", () => {
  const stage = new Stage({ policy: activeBackup, locals: 3 });
  stage.pass(1000);
  assert.deepEqual([stage.subflows, stage.active], ["0>0 1>0 2>0", "0>0"]);
  stage.path(0, 0, "silent");
  stage.reset(0, 0);
  assert.equal(stage.active, "1>0");
});

test("active-backup: it fails back when the better path has been there for five seconds, and not while it comes and goes", () => {
  const stage = new Stage({ policy: activeBackup, locals: 2 });
  stage.pass(1000);
  for (let time = 0; time < 3; time++) {
    stage.path(0, 0, "silent");
    stage.reset(0, 0);
    assert.equal(stage.active, "1>0");
    stage.path(0, 0, "open");
    while (!stage.subflows.includes("0>0")) stage.pass(10);
    stage.pass(4000);
    assert.equal(stage.active, "1>0", "it is there again, and waits");
  }
  stage.pass(1001);
  assert.equal(stage.active, "0>0");
});

test("active-backup: the address that the connection began with is preferred, also when its endpoint was away", () => {
  const stage = new Stage({ policy: activeBackup, locals: 2 });
  stage.pass(1000);
  stage.removeAddress(0);
  assert.equal(stage.active, "1>0");
  stage.addAddress(0);
  stage.pass(4000);
  assert.deepEqual([stage.subflows, stage.active], ["0>0 1>0", "1>0"]);
  stage.pass(2000);
  assert.equal(stage.active, "0>0");
});

test("active-backup: where the kernel opens no backup subflow, it is made one when it is there, also the one that comes back", () => {
  const stage = new Stage({ policy: activeBackup, locals: 2, createsNoBackup: true });
  stage.pass(1000);
  assert.deepEqual([stage.subflows, stage.active, stage.backups], ["0>0 1>0", "0>0", "1>0"]);
  stage.reset(1, 0);
  stage.pass(1000);
  assert.deepEqual([stage.subflows, stage.active, stage.backups], ["0>0 1>0", "0>0", "1>0"]);
});

test("active-backup: endpoints for backup come last", () => {
  const stage = new Stage({ policy: activeBackup, locals: 3 });
  stage.setBackup(0);
  stage.pass(10_000);
  assert.equal(stage.active, "1>0");
});

/** Looks once a second; data flow on all paths, some of them more slowly. */
function look(stage: Stage, seconds: number, figures: Figures): void {
  for (let second = 0; second < seconds; second++) {
    stage.pass(1000);
    stage.measure(figures);
  }
}

const opened = (stage: Stage): readonly Millis[] => stage.attempts(1, 0);

test("refresh: as many subflows as the limits allow; the slowest is opened anew, once in ten seconds at most", () => {
  const stage = new Stage({ policy: refresh, limits: { subflows: 3 } });
  stage.pass(1000);
  assert.equal(stage.subflows, "0>0 0>0 1>0 1>0");
  const before = opened(stage).length;
  look(stage, 35, { "1>0": { deliveryRate: 1e5 } });
  const times = opened(stage).slice(before);
  assert.equal(times.length, 3);
  for (const [nth, time] of times.slice(1).entries()) assert.ok(time - (times[nth] ?? 0) >= 10_000);
  assert.equal(stage.subflows, "0>0 0>0 1>0 1>0", "there are as many as before");
});

test("refresh: alike fast, idle, or a server: nothing is opened anew", () => {
  const alike = new Stage({ policy: refresh });
  const idle = new Stage({ policy: refresh });
  const server = new Stage({ policy: refresh, side: "server", flags: ENDPOINT_FLAG.subflow });
  for (const stage of [alike, idle, server]) stage.pass(1000);
  const before = [alike, idle, server].map(opened);
  look(alike, 30, { "1>0": { deliveryRate: 6e5 } });
  const unused = { sinceSent: 60_000, sinceReceived: 60_000, unacked: 0 };
  look(idle, 30, { "0>0": unused, "1>0": { ...unused, deliveryRate: 1 } });
  look(server, 30, { "1>0": { deliveryRate: 1 } });
  assert.deepEqual([alike, idle, server].map(opened), before);
});
