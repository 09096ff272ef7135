import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, ENDPOINT_FLAG, ERRNO, type Path } from "../types/index.ts";
import type { Action } from "./actions.ts";
import { BOUNDS } from "./bounds.ts";
import { Engine } from "./engine.ts";
import type { EngineEvent } from "./events.ts";
import type { ConnectionPlan, ConnectionView, Policy } from "./policy.ts";

const { signal } = ENDPOINT_FLAG;

/** Wants nothing but what is there: the engine alone is tested. */
const idle: Policy = {
  name: "idle",
  foreseeable: true,
  plan: (view) => keepAll(view),
  explain: () => [],
};

function keepAll(view: ConnectionView): ConnectionPlan {
  return {
    subflows: view.subflows.filter((subflow) => subflow.state !== "closing"),
    announcements: [],
    spent: [],
    served: view.remotes.filter((r) => r.state === "new").map((remote) => ({ remote, accepted: false })),
    queries: [],
    localAddressesUsed: view.localAddressesUsed,
    settled: view.settled,
    acceptsAddresses: view.acceptsAddresses,
    acceptsSubflows: view.acceptsSubflows,
  };
}

/** Keeps no join of the peer's. */
const strict: Policy = {
  ...idle,
  name: "strict",
  plan: (view) => ({ ...keepAll(view), subflows: view.subflows.filter((subflow) => !subflow.join) }),
};

const end = (address: string, port: number) => ({ address: address as Address, port });
const INITIAL: Path = { local: end("10.0.0.1", 80), remote: end("10.0.0.2", 40_000) };
const established = (token: number, path = INITIAL): EngineEvent => ({
  type: "connection.established",
  token,
  side: "server",
  path,
  denyJoinId0: false,
});
const joined = (token: number, port: number): EngineEvent => ({
  type: "subflow.established",
  token,
  path: { local: INITIAL.local, remote: end("10.0.0.2", port) },
  localId: 0,
  remoteId: 1,
  backup: false,
});
const types = (actions: readonly Action[]) => actions.map((action) => action.type);

test("engine: events of unknown connections change nothing", () => {
  const engine = new Engine({ policies: [idle] });
  for (const event of [
    joined(1, 1),
    { type: "subflow.closed", token: 1, path: INITIAL, localId: 0, remoteId: 0 },
    { type: "subflow.priority", token: 1, path: INITIAL, localId: 0, remoteId: 0, backup: true },
    { type: "address.announced", token: 1, remoteId: 1, address: "10.0.0.3" as Address, port: 80 },
    { type: "address.removed", token: 1, remoteId: 1 },
    { type: "connection.closed", token: 1 },
    { type: "connection.observed", token: 1 },
    { type: "tick" },
  ] satisfies EngineEvent[]) {
    assert.deepEqual(engine.handle(event, 0), []);
  }
  assert.deepEqual(engine.snapshot().connections, []);
});

test("engine: established without created, and twice, is one connection", () => {
  const engine = new Engine({ policies: [idle] });
  engine.handle(established(1), 0);
  engine.handle(established(1), 1);
  assert.equal(engine.snapshot().counters.connections, 1);
});

test("engine: a token with other addresses is another connection", () => {
  const engine = new Engine({ policies: [idle] });
  engine.handle(established(1), 0);
  engine.handle(joined(1, 5), 0);
  const path = { ...INITIAL, remote: end("10.0.0.9", 1) };
  engine.handle(established(1, path), 1);
  assert.deepEqual(engine.connection(1)?.initial, path);
  assert.equal(engine.connection(1)?.subflows.length, 1);
});

test("engine: a subflow that the plan lacks is destroyed, and forgotten when it is gone", () => {
  const engine = new Engine({ policies: [strict] });
  engine.handle(established(1), 0);
  const [destroy] = engine.handle(joined(1, 5), 0);
  assert.equal(destroy?.type, "subflow.destroy");
  assert.equal(engine.connection(1)?.subflows[1]?.state, "closing");
  assert.deepEqual(
    engine.handle({ type: "action.failed", action: destroy as Action, errno: ERRNO.ESRCH, message: "" }, 0),
    [],
  );
  assert.equal(engine.connection(1)?.subflows.length, 1);
});

test("bounds: joins beyond subflowsMax are destroyed and not remembered", () => {
  const engine = new Engine({ policies: [idle] });
  engine.handle(established(1), 0);
  for (let port = 1; port < BOUNDS.subflowsMax; port++) assert.deepEqual(engine.handle(joined(1, port), 0), []);
  assert.equal(engine.connection(1)?.subflows.length, BOUNDS.subflowsMax);
  for (let port = 1000; port < 2000; port++) {
    assert.deepEqual(types(engine.handle(joined(1, port), 0)), ["subflow.destroy"]);
  }
  assert.equal(engine.connection(1)?.subflows.length, BOUNDS.subflowsMax);
  assert.equal(engine.snapshot().counters.bounded, 1000);
});

test("bounds: 10,000 announcements of one peer cost remotesMax places", () => {
  const engine = new Engine({ policies: [idle] });
  engine.handle(established(1), 0);
  for (let i = 0; i < 10_000; i++) {
    const address = `10.1.${i >> 8}.${i & 255}` as Address;
    engine.handle({ type: "address.announced", token: 1, remoteId: 1 + (i % 255), address, port: 80 }, 0);
    const known = engine.connection(1)?.remotes.length ?? 0;
    assert.ok(known === Math.min(i + 1, BOUNDS.remotesMax), `${known} after ${i + 1}`);
  }
});

test("bounds: attemptsMax failures are remembered, the newest", () => {
  const engine = new Engine({ policies: [idle] });
  engine.handle(established(1), 0);
  for (let i = 0; i < BOUNDS.attemptsMax + 5; i++) {
    const path = { local: INITIAL.local, remote: end(`10.2.0.${i}`, 9) };
    engine.handle({ type: "subflow.established", token: 1, path, localId: 0, remoteId: 1, backup: false }, i);
    engine.handle({ type: "subflow.closed", token: 1, path, localId: 0, remoteId: 1, errno: 104 }, i);
  }
  const attempts = engine.connection(1)?.attempts ?? [];
  assert.equal(attempts.length, BOUNDS.attemptsMax);
  assert.equal(attempts.at(-1)?.remote, `10.2.0.${BOUNDS.attemptsMax + 4}`);
});

test("bounds: more listeners at once than openingsMax are refused", () => {
  const engine = new Engine({ policies: [idle] });
  const open = (port: number): EngineEvent => ({
    type: "command.received",
    request: port,
    command: { type: "endpoint.add", address: "10.0.0.1" as Address, port, flags: signal },
  });
  for (let port = 1; port <= BOUNDS.openingsMax; port++) {
    assert.deepEqual(types(engine.handle(open(port), 0)), ["listener.open"]);
  }
  const [answer] = engine.handle(open(999), 0);
  assert.ok(answer?.type === "command.answer" && answer.errno === ERRNO.EBUSY);
});

test("bounds: configEndpointsMax endpoints of a configuration are looked at", () => {
  const engine = new Engine({ policies: [idle], table: { endpointsMax: 255, limitMax: 64 } });
  const endpoints = Array.from({ length: 300 }, (_, i) => ({
    address: `10.3.${i >> 8}.${i & 255}` as Address,
    flags: 2,
  }));
  assert.deepEqual(engine.handle({ type: "config.changed", endpoints }, 0), []);
  assert.equal(engine.endpoints().length, BOUNDS.configEndpointsMax);
  assert.equal(engine.snapshot().counters.bounded, 300 - BOUNDS.configEndpointsMax);
});

test("engine: the listener of a port endpoint is opened first; where it fails, the kernel's words are given", () => {
  const engine = new Engine({ policies: [idle] });
  const command = { type: "endpoint.add", address: "10.0.0.1" as Address, port: 9000, flags: signal } as const;
  const [open] = engine.handle({ type: "command.received", request: 1, command }, 0);
  assert.deepEqual(engine.endpoints(), []);
  const failed = { type: "action.failed", action: open as Action, errno: ERRNO.EADDRNOTAVAIL, message: "" } as const;
  const [refused] = engine.handle(failed, 0);
  assert.ok(refused?.type === "command.answer" && refused.errno === ERRNO.EADDRNOTAVAIL);
  assert.equal(refused.message, "create listen socket error: -99");
  const [again] = engine.handle({ type: "command.received", request: 2, command }, 0);
  assert.deepEqual(types(engine.handle({ type: "action.done", action: again as Action }, 0)), ["command.answer"]);
  assert.equal(engine.endpoints().length, 1);
  const deletion = { type: "endpoint.delete", id: 1 } as const;
  assert.deepEqual(types(engine.handle({ type: "command.received", request: 3, command: deletion }, 0)), [
    "listener.close",
    "command.answer",
  ]);
});

test("engine: a configuration read again keeps what is equal, changes flags, and leaves what commands added", () => {
  const engine = new Engine({ policies: [idle] });
  const a = { address: "10.0.0.1" as Address, flags: 2 };
  const b = { address: "10.0.0.2" as Address, flags: 2 };
  engine.handle({ type: "config.changed", endpoints: [a, b], limits: { subflows: 4 } }, 0);
  const command = { type: "endpoint.add", address: "10.0.0.3" as Address, flags: 2 } as const;
  engine.handle({ type: "command.received", request: 1, command }, 0);
  engine.handle({ type: "config.changed", endpoints: [{ ...b, flags: 6 }] }, 0);
  assert.deepEqual(
    engine.endpoints().map(({ id, flags }) => [id, flags]),
    [
      [2, 6],
      [3, 2],
    ],
  );
  assert.equal(engine.limits().subflows, 4);
  const [refused] = engine.handle({ type: "config.changed", limits: { subflows: 99 } }, 0);
  assert.ok(refused?.type === "command.answer" && refused.request === -1 && refused.errno === ERRNO.EINVAL);
});

test("engine: the policy is chosen by name, an unknown name changes nothing", () => {
  const engine = new Engine({ policies: [idle, strict] });
  engine.handle(established(1), 0);
  engine.handle(joined(1, 5), 0);
  assert.deepEqual(engine.handle({ type: "config.changed", policy: "nonsense" }, 0), []);
  assert.deepEqual(types(engine.handle({ type: "config.changed", policy: "strict" }, 0)), ["subflow.destroy"]);
  assert.equal(engine.snapshot().policy, "strict");
});

test("engine: a snapshot is plain JSON", () => {
  const engine = new Engine({ policies: [idle] });
  engine.handle(established(1), 0);
  engine.handle(joined(1, 5), 0);
  const snapshot = engine.snapshot();
  assert.deepEqual(JSON.parse(JSON.stringify(snapshot)), snapshot);
});
