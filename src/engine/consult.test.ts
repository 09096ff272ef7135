import assert from "node:assert/strict";
import { test } from "node:test";
import { keepAll } from "../../test/fixtures/engine.ts";
import { type Address, ENDPOINT_FLAG, type Endpoint, type Path } from "../types/index.ts";
import type { Action } from "./actions.ts";
import { BOUNDS } from "./bounds.ts";
import { Engine } from "./engine.ts";
import type { EngineEvent } from "./events.ts";
import type { ConnectionPlan, LeftOut, OpenPair, Policy, Wanted } from "./policy.ts";

const { signal, subflow } = ENDPOINT_FLAG;
const address = (text: string) => text as Address;
const INITIAL: Path = {
  local: { address: address("10.0.0.2"), port: 40_000 },
  remote: { address: address("10.0.0.1"), port: 80 },
};
const JOINED: Path = { ...INITIAL, local: { address: address("10.0.1.2"), port: 41_000 } };
/** Ids 1 and 2 of the table. */
const ENDPOINTS = [
  { address: JOINED.local.address, flags: subflow },
  { address: address("10.0.2.2"), flags: signal },
];
const OPEN: OpenPair = {
  local: { address: JOINED.local.address, endpoint: 1, interfaceIndex: 0, backup: false },
  remote: { id: 0, ...INITIAL.remote },
};
const SUBFLOW: Wanted = { open: OPEN };
const ANNOUNCEMENT: Endpoint = { id: 2, address: address("10.0.2.2"), port: 0, flags: signal, interfaceIndex: 0 };

/** Lets the test say what the plan is, each time anew. */
class Puppet implements Policy {
  readonly name: string;
  readonly tries = "once";
  plan: Policy["plan"] = keepAll;
  explain: () => readonly LeftOut[] = () => [];

  constructor(name = "puppet") {
    this.name = name;
  }
}

const established = (denyJoinId0 = false): EngineEvent => ({
  type: "connection.established",
  token: 1,
  side: "client",
  path: INITIAL,
  denyJoinId0,
});
const subflowEstablished = (path: Path): EngineEvent => ({
  type: "subflow.established",
  ...{ token: 1, path, localId: 1, remoteId: 0, backup: false },
});

/** A connection with the extra subflow that the last good plan wanted. */
function begin(denyJoinId0 = false): { engine: Engine; policy: Puppet } {
  const policy = new Puppet();
  const engine = new Engine({ policies: [policy, new Puppet("other")] });
  engine.handle({ type: "config.changed", endpoints: ENDPOINTS, limits: { subflows: 8, addAddrAccepted: 8 } }, 0);
  if (!denyJoinId0) policy.plan = (view) => ({ ...keepAll(view), subflows: [...keepAll(view).subflows, SUBFLOW] });
  const actions = engine.handle(established(denyJoinId0), 0);
  assert.deepEqual(types(actions), denyJoinId0 ? [] : ["subflow.create"]);
  policy.plan = keepAll;
  if (!denyJoinId0) engine.handle(subflowEstablished(JOINED), 0);
  return { engine, policy };
}

const types = (actions: readonly Action[]) => actions.map((action) => action.type);
/** An occasion for a plan. */
const occasion = (port: number): EngineEvent =>
  subflowEstablished({ local: JOINED.local, remote: { ...INITIAL.remote, port } });
const boom = (): never => {
  throw new RangeError("no such luck");
};

test("policy: one that throws changes nothing, is reported once, and its reason is shown until a plan is taken", () => {
  const { engine, policy } = begin();
  const before = engine.connection(1)?.subflows;
  policy.plan = boom;
  const reason = "RangeError: no such luck";
  const [report, ...others] = engine.handle(occasion(81), 1);
  assert.deepEqual(report, { id: report?.id, type: "policy.report", token: 1, policy: "puppet", reason });
  assert.deepEqual(others, [], "the last good plan stays: nothing is destroyed");
  assert.deepEqual(engine.connection(1)?.subflows.slice(0, 2), before);
  for (let port = 82; port < 90; port++) assert.deepEqual(engine.handle(occasion(port), 2), [], "reported once");
  assert.equal(engine.why(1, 0)?.connection.planRefused, reason);
  assert.equal(engine.snapshot().counters.refusedPlans, 9);

  policy.plan = keepAll;
  engine.handle(occasion(90), 3);
  assert.equal(engine.why(1, 0)?.connection.planRefused, "", "and goes on");
  policy.plan = boom;
  assert.deepEqual(engine.handle(occasion(91), 4), [], "also after a good one it is known already");
  assert.equal(engine.why(1, 0)?.connection.planRefused, reason);
});

test("policy: another connection and another policy are reported for themselves", () => {
  const { engine, policy } = begin();
  policy.plan = boom;
  assert.deepEqual(types(engine.handle(occasion(81), 1)), ["policy.report"]);
  assert.deepEqual(types(engine.handle({ ...established(), token: 2 } as EngineEvent, 1)), ["policy.report"]);
  assert.deepEqual(engine.handle({ type: "config.changed", policy: "other" }, 2), []);
  assert.equal(engine.connection(1)?.planRefused, "");
});

test("policy: what it did not judge it judges at the next occasion", () => {
  const { engine, policy } = begin();
  policy.plan = boom;
  const listening: Path = { local: INITIAL.local, remote: { address: address("10.0.9.1"), port: 7 } };
  engine.handle(subflowEstablished(listening), 1);
  assert.equal(engine.connection(1)?.subflows.at(-1)?.state, "arrived");
  policy.plan = (view) => ({
    ...keepAll(view),
    subflows: keepAll(view).subflows.filter(({ keep }) => keep?.state !== "arrived"),
  });
  assert.deepEqual(types(engine.handle(occasion(81), 2)), ["subflow.destroy"]);
});

test("policy: one that cannot explain is no reason to fail", () => {
  const { engine, policy } = begin();
  policy.explain = boom;
  const { connection, leftOut } = engine.why(1, 0) ?? {};
  assert.deepEqual([connection?.planRefused, leftOut], ["RangeError: no such luck", []]);
});

test("policy: what it throws need be no error, and may be long", () => {
  const { engine, policy } = begin();
  const thrown: [unknown, string][] = [
    [undefined, "it threw something that is no Error: undefined"],
    [Object.create(null), "it threw something that is no Error: object"],
    [new Error("x".repeat(1000)), `Error: ${"x".repeat(BOUNDS.reasonMax - 7)}`],
  ];
  for (const [index, [value, reason]] of thrown.entries()) {
    policy.plan = () => {
      throw value;
    };
    engine.handle(occasion(81 + index), 1);
    assert.equal(engine.why(1, 0)?.connection.planRefused, reason);
  }
});

const opened = (local: Partial<OpenPair["local"]>, to: Partial<OpenPair["remote"]> = {}) => ({
  subflows: [{ open: { local: { ...OPEN.local, ...local }, remote: { ...OPEN.remote, ...to } } }],
});
const announced = (...changes: Partial<Endpoint>[]) => ({
  announcements: changes.map((change) => ({ ...ANNOUNCEMENT, ...change })),
});
const remote = { id: 9, address: address("10.0.0.9"), port: 80, state: "known", source: undefined } as const;
const many = <T>(length: number, value: T): T[] => new Array<T>(length).fill(value);

/** What is added to a plan that keeps all, and why that is refused. */
const NONSENSE: readonly [unknown, RegExp][] = [
  [{ subflows: undefined }, /^subflows is not a list$/],
  [{ ask: "all" }, /^ask is not a list$/],
  [{ subflows: [undefined] }, /^TypeError: /],
  [{ subflows: [{}] }, /^one of its subflows is neither to be kept nor to be opened$/],
  [{ subflows: [{ keep: {}, open: OPEN }] }, /^one of its subflows is to be kept and opened at once$/],
  [{ subflows: [{ keep: { state: "established", path: INITIAL } }] }, /^it keeps a subflow that does not exist$/],
  [{ subflows: [{ open: OPEN, backup: "yes" }] }, /^backup is neither true nor false$/],
  [{ wakeAt: Number.NaN }, /^wakeAt is NaN, which is no time$/],
  [{ wakeAt: -1000 }, /^it wants to be asked again 1001 ms ago$/],
  [opened({ address: address("10.0.7.2") }), /^a subflow comes from 10\.0\.7\.2, /],
  [opened({ endpoint: 3 }), /^a subflow belongs to endpoint 3, /],
  [opened({ interfaceIndex: -1 }), /^a subflow is bound to interface -1; /],
  [opened({}, { address: address("10.0.7.1") }), /^a subflow goes to 10\.0\.7\.1, /],
  [opened({}, { port: 0 }), /^a subflow goes to port 0; /],
  [opened({}, { port: 65_536 }), /^a subflow goes to port 65536; /],
  [opened({}, { id: 256 }), /^a subflow goes to remote id 256; /],
  [opened({}, { id: 1.5 }), /^a subflow goes to remote id 1\.5; /],
  [announced({ id: 3 }), /^it announces endpoint 3, /],
  [announced({ address: address("10.0.1.2") }), /^it announces 10\.0\.1\.2 as endpoint 2, /],
  [announced({ port: 80 }), /^it announces 10\.0\.2\.2 as endpoint 2, /],
  [{ ask: [remote] }, /^it asks about announcement 9, /],
  [{ subflows: many(BOUNDS.subflowsMax + 1, SUBFLOW) }, /^the list subflows has 97 entries; at most 96 are possible$/],
  [{ subflows: many(100_000, SUBFLOW) }, /^the list subflows has 100000 entries; at most 96 are possible$/],
  [announced(...many(BOUNDS.plannedMax + 1, {})), /^the list announcements has 256 entries; at most 255 /],
];

for (const [nonsense, reason] of NONSENSE) {
  test(`policy: a plan is refused as a whole: ${reason.source}`, () => {
    const { engine, policy } = begin();
    const before = engine.connection(1)?.subflows;
    policy.plan = (view) => {
      const good = keepAll(view);
      const added = nonsense as Partial<ConnectionPlan>;
      const announcements = added.announcements ?? [ANNOUNCEMENT];
      // Beside the nonsense what would be good alone: an announcement, and the end of the extra subflow.
      return { ...good, subflows: good.subflows.slice(0, 1), announcements, ...added };
    };
    const [report, ...others] = engine.handle(occasion(81), 1);
    assert.equal(report?.type, "policy.report");
    assert.match(report?.type === "policy.report" ? report.reason : "", reason);
    assert.deepEqual(others, []);
    assert.deepEqual(engine.connection(1)?.announced, []);
    assert.deepEqual(engine.connection(1)?.subflows.slice(0, 2), before);
  });
}

test("policy: no join to remote id 0 where the peer denies it, whoever plans it", () => {
  const { engine, policy } = begin(true);
  policy.plan = (view) => ({ ...keepAll(view), subflows: [...keepAll(view).subflows, SUBFLOW] });
  assert.deepEqual(types(engine.handle(occasion(81), 1)), ["policy.report"]);
  assert.match(engine.why(1, 0)?.connection.planRefused ?? "", /to which the peer denies joins$/);
});

test("policy: a plan at each bound is taken", () => {
  const { engine, policy } = begin();
  const announcements = many(BOUNDS.plannedMax, ANNOUNCEMENT);
  policy.plan = (view) => ({
    ...keepAll(view),
    announcements,
    subflows: [...keepAll(view).subflows, ...many(93, SUBFLOW)],
  });
  assert.equal(engine.handle(occasion(81), 1).length, 94);
  assert.equal(engine.connection(1)?.subflows.length, BOUNDS.subflowsMax);
});

test("policy: an announcement that stands is not made again", () => {
  const { engine, policy } = begin();
  policy.plan = (view) => ({ ...keepAll(view), announcements: [ANNOUNCEMENT] });
  assert.deepEqual(types(engine.handle(occasion(81), 1)), ["address.announce"]);
  assert.deepEqual(engine.handle(occasion(82), 2), []);
  assert.equal(engine.connection(1)?.announced.length, 1);
});

test("a policy that wants to be asked again at once is, in a moment", () => {
  const { engine, policy } = begin();
  policy.plan = (view) => ({ ...keepAll(view), wakeAt: view.now + 1 });
  engine.handle(subflowEstablished(JOINED), 100);
  assert.equal(engine.nextTick, 120);
});
