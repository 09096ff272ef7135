import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, ENDPOINT_FLAG, type Path } from "../types/index.ts";
import type { Action } from "./actions.ts";
import { BOUNDS } from "./bounds.ts";
import { Engine } from "./engine.ts";
import type { EngineEvent } from "./events.ts";
import type { ConnectionPlan, ConnectionView, PlannedAnnouncement, PlannedSubflow, Policy } from "./policy.ts";

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
const SUBFLOW: PlannedSubflow = {
  state: "planned",
  endpoint: 1,
  local: JOINED.local.address,
  localId: 1,
  interfaceIndex: 0,
  remote: INITIAL.remote,
  remoteId: 0,
  backup: false,
  answers: -1,
};
const ANNOUNCEMENT: PlannedAnnouncement = {
  endpoint: 2,
  localId: 2,
  address: address("10.0.2.2"),
  port: 0,
  backup: false,
};

function keepAll(view: ConnectionView): ConnectionPlan {
  const { localAddressesUsed, settled, acceptsAddresses, acceptsSubflows } = view;
  return {
    subflows: view.subflows.filter(({ state }) => state !== "closing"),
    announcements: [],
    spent: [],
    served: [],
    queries: [],
    ...{ localAddressesUsed, settled, acceptsAddresses, acceptsSubflows },
  };
}

/** Lets the test say what the plan is, each time anew. */
class Puppet implements Policy {
  readonly name: string;
  readonly foreseeable = true;
  plan: Policy["plan"] = keepAll;
  explain: Policy["explain"] = () => [];

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
  assert.equal(engine.why(1)?.connection.planRefused, reason);
  assert.equal(engine.snapshot().counters.refusedPlans, 9);

  policy.plan = keepAll;
  engine.handle(occasion(90), 3);
  assert.equal(engine.why(1)?.connection.planRefused, "", "and goes on");
  policy.plan = boom;
  assert.deepEqual(engine.handle(occasion(91), 4), [], "also after a good one it is known already");
  assert.equal(engine.why(1)?.connection.planRefused, reason);
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
  policy.plan = (view) => ({ ...keepAll(view), subflows: view.subflows.filter(({ state }) => state !== "arrived") });
  assert.deepEqual(types(engine.handle(occasion(81), 2)), ["subflow.destroy"]);
});

test("policy: one that cannot explain is no reason to fail", () => {
  const { engine, policy } = begin();
  policy.explain = boom;
  const { connection, leftOut } = engine.why(1) ?? {};
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
    assert.equal(engine.why(1)?.connection.planRefused, reason);
  }
});

const planned = (change: Partial<PlannedSubflow>) => ({ subflows: [{ ...SUBFLOW, ...change }] });
const announced = (...changes: Partial<PlannedAnnouncement>[]) => ({
  announcements: changes.map((change) => ({ ...ANNOUNCEMENT, ...change })),
});
const remote = { id: 9, address: address("10.0.0.9"), port: 80, state: "new", source: undefined } as const;
const many = <T>(length: number, value: T): T[] => new Array<T>(length).fill(value);

/** What is added to a plan that keeps all, and why that is refused. */
const NONSENSE: readonly [unknown, RegExp][] = [
  [{ subflows: undefined }, /^subflows is not a list$/],
  [{ queries: "all" }, /^queries is not a list$/],
  [{ settled: undefined }, /^settled, .* neither true nor false$/],
  [{ localAddressesUsed: Number.NaN }, /^localAddressesUsed is NaN$/],
  [{ subflows: [undefined] }, /^TypeError: /],
  [{ subflows: [{ state: "established", path: INITIAL }] }, /^it keeps a subflow that does not exist$/],
  [planned({ local: address("10.0.7.2") }), /^a subflow comes from 10\.0\.7\.2, /],
  [planned({ local: ANNOUNCEMENT.address, localId: 0 }), /^a subflow from 10\.0\.2\.2 has id 0, /],
  [planned({ remote: { address: address("10.0.7.1"), port: 80 } }), /^a subflow goes to 10\.0\.7\.1, /],
  [planned({ remote: { ...INITIAL.remote, port: 0 } }), /^a subflow goes to port 0; /],
  [planned({ remote: { ...INITIAL.remote, port: 65_536 } }), /^a subflow goes to port 65536; /],
  [planned({ localId: 256 }), /^a subflow has the ids 256 and 0; /],
  [planned({ remoteId: -1 }), /^a subflow has the ids 1 and -1; /],
  [planned({ localId: 1.5 }), /^a subflow has the ids 1\.5 and 0; /],
  [planned({ endpoint: 3 }), /^a subflow belongs to endpoint 3, /],
  [planned({ interfaceIndex: -1 }), /^a subflow is bound to interface -1; /],
  [planned({ answers: 256 }), /^a subflow answers announcement 256; /],
  [announced({ endpoint: 3 }), /^it announces endpoint 3, /],
  [announced({ address: address("10.0.1.2") }), /^it announces 10\.0\.1\.2 as endpoint 2, /],
  [announced({ port: 80 }), /^it announces 10\.0\.2\.2 as endpoint 2, /],
  [announced({ localId: 0 }), /^it announces id 0; /],
  [announced({ localId: 256 }), /^it announces id 256; /],
  [announced({}, {}), /^it announces id 2 for two addresses$/],
  [{ spent: [3] }, /^it uses up endpoint 3, /],
  [{ served: [{ remote, accepted: true }] }, /^it answers announcement 9, /],
  [{ queries: [remote] }, /^it answers announcement 9, /],
  [{ subflows: many(BOUNDS.subflowsMax + 1, SUBFLOW) }, /^the list subflows has 97 entries; at most 96 are possible$/],
  [announced(...many(BOUNDS.plannedMax + 1, {})), /^the list announcements has 256 entries; at most 255 /],
  [{ spent: many(BOUNDS.plannedMax + 1, 1) }, /^the list spent has 256 entries; at most 255 /],
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
  assert.match(engine.why(1)?.connection.planRefused ?? "", /to which the peer denies joins$/);
});

test("policy: a plan at each bound is taken", () => {
  const { engine, policy } = begin();
  const spent = many(BOUNDS.plannedMax, 1);
  policy.plan = (view) => ({ ...keepAll(view), spent, subflows: [...keepAll(view).subflows, ...many(93, SUBFLOW)] });
  assert.equal(engine.handle(occasion(81), 1).length, 93);
  assert.equal(engine.connection(1)?.subflows.length, BOUNDS.subflowsMax);
});

test("policy: an announcement that stands is not made again", () => {
  const { engine, policy } = begin();
  policy.plan = (view) => ({ ...keepAll(view), announcements: [ANNOUNCEMENT] });
  assert.deepEqual(types(engine.handle(occasion(81), 1)), ["address.announce"]);
  assert.deepEqual(engine.handle(occasion(82), 2), []);
  assert.equal(engine.connection(1)?.announced.length, 1);
});
