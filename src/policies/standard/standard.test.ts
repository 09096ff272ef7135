import assert from "node:assert/strict";
import { test } from "node:test";
import { Engine, type EngineEvent, type Policy } from "../../engine/index.ts";
import { type Address, ENDPOINT_FLAG, type Path } from "../../types/index.ts";
import type { Memory } from "./memory.ts";
import { standard } from "./standard.ts";

const { signal, subflow, fullmesh } = ENDPOINT_FLAG;
const address = (text: string) => text as Address;
const CLIENT: Path = {
  local: { address: address("10.0.0.2"), port: 40_000 },
  remote: { address: address("10.0.0.1"), port: 80 },
};
const SERVER: Path = { local: CLIENT.remote, remote: CLIENT.local };

/** What is asked for in short: "announce 1", "create 2>0". */
function asked(engine: Engine, event: EngineEvent, now = 0): string[] {
  return engine.handle(event, now).map((action) => {
    if (action.type === "address.announce") return `announce ${action.localId}`;
    if (action.type === "subflow.create") return `create ${action.localId}>${action.remoteId}`;
    return action.type;
  });
}

interface Case {
  readonly name: string;
  /** [last byte of 10.0.x.2, flags] */
  readonly endpoints: readonly (readonly [number, number])[];
  readonly limits: { readonly subflows: number; readonly addAddrAccepted: number };
  readonly side?: "server";
  readonly expected: readonly string[];
}

// What Linux 6.18 does at the establishment (mptcp_pm_create_subflow_or_signal_addr).
const CASES: readonly Case[] = [
  { name: "no endpoint", endpoints: [], limits: { subflows: 2, addAddrAccepted: 0 }, expected: [] },
  {
    name: "three subflow endpoints, limit 2",
    endpoints: [
      [1, subflow],
      [2, subflow],
      [3, subflow],
    ],
    limits: { subflows: 2, addAddrAccepted: 0 },
    expected: ["create 1>0", "create 2>0"],
  },
  {
    name: "limit 0",
    endpoints: [[1, subflow]],
    limits: { subflows: 0, addAddrAccepted: 0 },
    expected: [],
  },
  {
    name: "two signal endpoints: one at a time",
    endpoints: [
      [1, signal],
      [2, signal],
    ],
    limits: { subflows: 2, addAddrAccepted: 0 },
    expected: ["announce 1"],
  },
  {
    name: "signal+subflow is announced and connected from",
    endpoints: [
      [1, signal | subflow],
      [2, subflow],
    ],
    limits: { subflows: 2, addAddrAccepted: 0 },
    expected: ["announce 1", "create 1>0", "create 2>0"],
  },
  {
    name: "the endpoint of the initial address makes no subflow",
    endpoints: [
      [0, subflow],
      [1, subflow],
    ],
    limits: { subflows: 2, addAddrAccepted: 0 },
    expected: ["create 2>0"],
  },
  {
    name: "fullmesh knows only the initial remote address yet",
    endpoints: [
      [1, subflow | fullmesh],
      [2, subflow | fullmesh],
    ],
    limits: { subflows: 8, addAddrAccepted: 0 },
    expected: ["create 1>0", "create 2>0"],
  },
  {
    name: "a server with a subflow endpoint tries, as the kernel does",
    endpoints: [[1, subflow]],
    limits: { subflows: 2, addAddrAccepted: 0 },
    side: "server",
    expected: ["create 1>0"],
  },
];

for (const { name, endpoints, limits, side, expected } of CASES) {
  test(`standard: ${name}`, () => {
    const engine = new Engine({ policies: [standard] });
    const wanted = endpoints.map(([link, flags]) => ({ address: address(`10.0.${link}.2`), flags }));
    engine.handle({ type: "config.changed", endpoints: wanted, limits }, 0);
    const path = side ? SERVER : CLIENT;
    const event: EngineEvent = {
      type: "connection.established",
      token: 1,
      side: side ?? "client",
      path,
      denyJoinId0: false,
    };
    assert.deepEqual(asked(engine, event), expected);
  });
}

test("standard: limits that were 0 at the start stay without effect until an endpoint is added", () => {
  const engine = new Engine({ policies: [standard] });
  const endpoints = [{ address: address("10.0.1.2"), flags: subflow }];
  engine.handle({ type: "config.changed", endpoints, limits: { subflows: 0 } }, 0);
  engine.handle({ type: "connection.established", token: 1, side: "client", path: CLIENT, denyJoinId0: false }, 0);
  const raise = { type: "limits.set", subflows: 4 } as const;
  assert.deepEqual(asked(engine, { type: "command.received", request: 1, command: raise }), ["command.answer"]);
  const add = { type: "endpoint.add", address: address("10.0.2.2"), flags: subflow } as const;
  assert.deepEqual(asked(engine, { type: "command.received", request: 2, command: add }), [
    "command.answer",
    "create 1>0",
    "create 2>0",
  ]);
});

test("standard: a subflow that closes makes room for an endpoint not yet used", () => {
  const engine = new Engine({ policies: [standard] });
  const endpoints = [1, 2].map((link) => ({ address: address(`10.0.${link}.2`), flags: subflow }));
  engine.handle({ type: "config.changed", endpoints, limits: { subflows: 1 } }, 0);
  engine.handle({ type: "connection.established", token: 1, side: "client", path: CLIENT, denyJoinId0: false }, 0);
  const path = { local: { address: address("10.0.1.2"), port: 5 }, remote: CLIENT.remote };
  const closed: EngineEvent = { type: "subflow.closed", token: 1, path, localId: 1, remoteId: 0, errno: 111 };
  assert.deepEqual(asked(engine, closed), ["create 2>0"]);
});

for (const { name, endpoints, limits, side, expected } of CASES) {
  test(`standard, foreseen: ${name}`, () => {
    const engine = new Engine({ policies: [standard] });
    const wanted = endpoints.map(([link, flags]) => ({ address: address(`10.0.${link}.2`), flags }));
    const before = engine.revision;
    engine.handle({ type: "config.changed", endpoints: wanted, limits }, 0);
    assert.ok(engine.revision > before, "what was foreseen earlier is void");
    const path = side ? SERVER : CLIENT;
    const event = {
      type: "connection.established",
      token: 7,
      side: side ?? "client",
      path,
      denyJoinId0: false,
    } as const;
    const { revision } = engine;
    const { actions: foreseen, because } = engine.foresee(event);
    assert.deepEqual([...because], []);
    assert.deepEqual(engine.snapshot().connections, [], "nothing is remembered");
    assert.equal(foreseen.length, expected.length);
    const strip = (action: object) => ({ ...action, id: 0 });
    assert.deepEqual(engine.handle(event, 0).map(strip), foreseen.map(strip));
    assert.equal(engine.revision, revision, "connections leave the tables alone");
  });
}

test("what a policy that decides by the peer's port is asked beforehand holds for that port", () => {
  const curious: Policy<Memory> = {
    ...standard,
    plan: (view, memory, occasion, values) =>
      standard.plan(view, memory, view.initial.remote.port === 443 ? { type: "asked" } : occasion, values),
  };
  const engine = new Engine({ policies: [curious] });
  engine.handle({ type: "config.changed", endpoints: [{ address: address("10.0.9.2"), flags: subflow }] }, 0);
  const event = { type: "connection.established", token: 7, side: "client", path: CLIENT, denyJoinId0: false } as const;
  const { actions, because } = engine.foresee(event);
  assert.deepEqual([actions.length, [...because]], [1, ["remote port"]]);
  assert.equal(engine.handle(event, 0).length, 1);
});
