import assert from "node:assert/strict";
import { test } from "node:test";
import { end, established, INITIAL, idle, joined, keepAll, types } from "../../test/fixtures/engine.ts";
import { type Address, ENDPOINT_FLAG, ERRNO } from "../types/index.ts";
import type { Action } from "./actions.ts";
import { Engine } from "./engine.ts";
import type { EngineEvent } from "./events.ts";
import type { Policy } from "./policy.ts";

const { signal } = ENDPOINT_FLAG;

/** Keeps no join of the peer's. */
const strict: Policy = {
  ...idle,
  name: "strict",
  plan: (view) => ({ ...keepAll(view), subflows: keepAll(view).subflows.filter(({ keep }) => !keep?.join) }),
};

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
