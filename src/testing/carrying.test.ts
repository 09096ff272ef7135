import assert from "node:assert/strict";
import { test } from "node:test";
import type { Policy } from "../engine/index.ts";
import { activeBackup, aggregate, fullmesh, interactive, ndiffports, oneToOne, priority } from "../policies/index.ts";
import { ENDPOINT_FLAG } from "../types/index.ts";
import { type Figures, Stage, type StageOptions } from "./stage.ts";

// Policies by which several paths carry. What each must keep, whatever it decides, is held in laws.test.ts.

/** So many seconds, with a look four times a second. */
function look(stage: Stage, seconds: number, figures: Figures | (() => Figures) = {}, outstanding = 0): void {
  for (let turn = 0; turn < 4 * seconds; turn++) {
    stage.pass(250);
    stage.measure(typeof figures === "function" ? figures() : figures, false, outstanding);
  }
}

function settled(options: StageOptions): Stage {
  const stage = new Stage(options);
  stage.pass(1000);
  return stage;
}

const DRAG: Figures = { "1>0": { rtt: 400, deliveryRate: 1e5 } };

test("aggregate: all paths carry; one that is slow and carries little is backup for a while, each time longer", () => {
  const stage = settled({ policy: aggregate, locals: 3 });
  look(stage, 3);
  look(stage, 1, DRAG);
  look(stage, 3);
  assert.equal(stage.active, "0>0 1>0 2>0", "a moment is not enough");
  look(stage, 5, DRAG);
  assert.equal(stage.active, "0>0 2>0");
  look(stage, 10);
  assert.equal(stage.active, "0>0 1>0 2>0");
  look(stage, 3, DRAG);
  assert.equal(stage.active, "0>0 2>0");
  look(stage, 15);
  assert.equal(stage.active, "0>0 2>0");
  look(stage, 5);
  assert.equal(stage.active, "0>0 1>0 2>0");
});

test("aggregate: one that is slow and carries much is worth it; so is one that is a little slower, or idle", () => {
  for (const figures of [
    { "1>0": { rtt: 400, deliveryRate: 5e5 } },
    { "1>0": { rtt: 55, deliveryRate: 1e5 } },
    { "1>0": { rtt: 400, deliveryRate: 1, sinceSent: 60_000, sinceReceived: 60_000 } },
  ]) {
    const stage = settled({ policy: aggregate });
    look(stage, 10, figures);
    assert.equal(stage.active, "0>0 1>0");
  }
});

test("aggregate: who sends judges, also a server, which opens nothing", () => {
  const stage = settled({ policy: aggregate, side: "server", flags: ENDPOINT_FLAG.subflow });
  stage.join(0, 1);
  look(stage, 3, { "0>1": { rtt: 400, deliveryRate: 1e5 } });
  assert.deepEqual([stage.subflows, stage.active], ["0>0 0>1", "0>0"]);
});

test("aggregate: endpoints for backup stay so", () => {
  const stage = settled({ policy: aggregate });
  stage.setBackup(1);
  look(stage, 30, DRAG);
  assert.equal(stage.active, "0>0");
});

test("what is opened at the beginning can be foreseen", () => {
  for (const policy of [activeBackup, aggregate, fullmesh, interactive, ndiffports, oneToOne, priority]) {
    const stage = new Stage({ policy: policy as Policy });
    const path = { local: { address: stage.local(0), port: 5000 }, remote: { address: stage.remote(0), port: 80 } };
    const event = { type: "connection.established", token: 2, side: "client", path, denyJoinId0: false } as const;
    const { actions, because } = stage.engine.foresee(event);
    assert.ok(actions.length > 0, policy.name);
    assert.deepEqual([...because], [], policy.name);
  }
});

/** More than is on its way by far. */
const PILED = 1e8;

/** What paths carry, in bytes a millisecond from now on. */
function flow(stage: Stage, rates: Readonly<Record<string, number>>): () => Figures {
  const from = stage.now;
  return () =>
    Object.fromEntries(
      Object.entries(rates).map(([path, rate]) => [
        path,
        { bytesAcked: 1e6 + rate * (stage.now - from), bytesReceived: 0 },
      ]),
    );
}

test("priority: the next path joins when the first is full for a while, and leaves when it is not needed any more", () => {
  const stage = settled({ policy: priority, locals: 3 });
  assert.deepEqual([stage.subflows, stage.active], ["0>0 1>0 2>0", "0>0"]);
  const alone = { "0>0": 1000, "1>0": 0, "2>0": 0 };
  look(stage, 3, flow(stage, alone));
  assert.equal(stage.active, "0>0", "data flow, and do not pile up");
  look(stage, 1, flow(stage, alone), PILED);
  assert.equal(stage.active, "0>0");
  look(stage, 0.5, flow(stage, alone), PILED);
  assert.equal(stage.active, "0>0 1>0");
  look(stage, 20, flow(stage, { ...alone, "1>0": 500 }));
  assert.equal(stage.active, "0>0 1>0", "the first could not carry all of it");
  look(stage, 4, flow(stage, { "0>0": 300, "1>0": 200, "2>0": 0 }));
  assert.equal(stage.active, "0>0 1>0");
  look(stage, 3, flow(stage, { "0>0": 300, "1>0": 200, "2>0": 0 }));
  assert.equal(stage.active, "0>0");
});

test("priority: one after the other, where all are full", () => {
  const stage = settled({ policy: priority, locals: 3 });
  look(stage, 10, flow(stage, { "0>0": 1000, "1>0": 1000, "2>0": 1000 }), PILED);
  assert.equal(stage.active, "0>0 1>0 2>0");
});

test("priority: with a rate that a path carries at most, also what the peer sends counts", () => {
  const stage = settled({ policy: priority, given: { full: 1e6 } });
  look(stage, 5, flow(stage, { "0>0": 800, "1>0": 0 }));
  assert.equal(stage.active, "0>0");
  look(stage, 5, flow(stage, { "0>0": 1000, "1>0": 0 }));
  assert.equal(stage.active, "0>0 1>0");
});

test("priority: the next takes over when the first is lost, and the first carries again when it has been there for a while", () => {
  const stage = settled({ policy: priority });
  stage.path(0, 0, "silent");
  stage.reset(0, 0);
  assert.equal(stage.active, "1>0");
  stage.path(0, 0, "open");
  while (!stage.subflows.includes("0>0")) stage.pass(10);
  stage.pass(4000);
  assert.equal(stage.active, "1>0");
  stage.pass(1001);
  assert.equal(stage.active, "0>0");
});
