import assert from "node:assert/strict";
import { test } from "node:test";
import { end, established, INITIAL, idle, joined, keepAll, types } from "../../test/fixtures/engine.ts";
import { type Address, ENDPOINT_FLAG, ERRNO, type Path } from "../types/index.ts";
import type { Action } from "./actions.ts";
import { BOUNDS, TABLE_BOUNDS, TIMING } from "./bounds.ts";
import { Engine } from "./engine.ts";
import type { EngineEvent, ObservedConnection } from "./events.ts";
import { created } from "./lifecycle.ts";
import { type ConnectionView, isSignal, type Policy, type Wanted } from "./policy.ts";
import { State } from "./state.ts";
import { EndpointTable } from "./table.ts";
import { Timers } from "./timers.ts";
import { Treatment } from "./treatment.ts";

// Each bound of bounds.ts at its edge and beyond it; those of plans are in consult.test.ts.

const { signal, subflow } = ENDPOINT_FLAG;

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
    const path = { local: end("10.0.0.1", 50_000 + i), remote: end(`10.2.0.${i}`, 9) };
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

test("bounds: no more than connectionsMax connections are remembered", () => {
  const table = new EndpointTable(TABLE_BOUNDS);
  const state = new State({ table, timing: TIMING, timers: new Timers(), treatment: new Treatment({ policy: idle }) });
  // That many would be a GiB: the map only says that it has them.
  let others = BOUNDS.connectionsMax - 1;
  Object.defineProperty(state.connections, "size", { get: () => others });
  const facts = { side: "client", path: INITIAL, denyJoinId0: false } as const;
  assert.ok(created(state, { type: "connection.created", token: 1, ...facts }));
  others++;
  assert.equal(created(state, { type: "connection.created", token: 2, ...facts }), undefined);
  assert.equal(state.counters.bounded, 1);
  assert.ok(created(state, { type: "connection.created", token: 1, ...facts }), "a known one stays known");
  const elsewhere = { ...facts, path: { ...INITIAL, local: end("10.9.9.9", 1) } };
  assert.equal(created(state, { type: "connection.created", token: 2, ...elsewhere }), undefined);
});

test("bounds: addresses of which each waits for routing are no more than remotesMax either", () => {
  const ask = (view: ConnectionView) => view.remotes.filter(({ state }) => state === "known");
  const engine = new Engine({ policies: [{ ...idle, plan: (view) => ({ ...keepAll(view), ask: ask(view) }) }] });
  engine.handle(established(1), 0);
  for (let id = 1; id <= 255; id++) {
    const address = `10.1.0.${id}` as Address;
    // A second apart, so that each is looked at (admission.ts).
    engine.handle({ type: "address.announced", token: 1, remoteId: id, address, port: 80 }, 1000 * id);
  }
  const ids = engine.connection(1)?.remotes.map((remote) => remote.id);
  assert.deepEqual(
    ids,
    Array.from({ length: BOUNDS.remotesMax }, (_, index) => index + 1),
    "the first ones wait",
  );
  assert.equal(engine.snapshot().counters.bounded, 255 - BOUNDS.remotesMax);
});

/** As sock_diag would show a connection with so many joins of the peer's. */
function observed(token: number, joins: number): ObservedConnection {
  const path = (port: number): Path => ({ local: INITIAL.local, remote: end("10.0.0.2", port) });
  const info = { state: "established", localId: 0, remoteId: 1, fullyEstablished: true, backupLocal: false };
  const subflows = Array.from({ length: joins }, (_, port) => ({ ...info, path: path(port + 1), join: true }));
  const initial = { ...info, path: INITIAL, join: false };
  const facts = { token, state: "established", path: INITIAL, pathManager: "userspace", side: "server" };
  return { connection: { ...facts, subflows: [initial, ...subflows] }, localAddresses: [] } as never;
}

test("bounds: of 1000 joins found by a look at the kernel, subflowsMax are remembered and the others destroyed", () => {
  const engine = new Engine({ policies: [idle] });
  engine.handle(established(1), 0);
  const look = (joins: number): EngineEvent => ({ type: "kernel.snapshot", connections: [observed(1, joins)] });
  assert.deepEqual(engine.handle(look(BOUNDS.subflowsMax - 1), 0), []);
  assert.equal(engine.connection(1)?.subflows.length, BOUNDS.subflowsMax);
  assert.equal(engine.snapshot().counters.bounded, 0);
  const actions = engine.handle(look(1000), 1);
  assert.deepEqual([...new Set(types(actions))], ["subflow.destroy"]);
  assert.equal(actions.length, 1001 - BOUNDS.subflowsMax);
  assert.equal(engine.connection(1)?.subflows.length, BOUNDS.subflowsMax);
});

test("bounds: an adopted connection keeps all its subflows, of which subflowsMax are remembered", () => {
  const engine = new Engine({ policies: [idle] });
  assert.deepEqual(engine.handle({ type: "kernel.snapshot", connections: [observed(1, 1000)] }, 0), []);
  assert.equal(engine.connection(1)?.subflows.length, BOUNDS.subflowsMax);
});

const PLANNED: Wanted = {
  open: {
    local: { address: INITIAL.local.address, endpoint: 0, interfaceIndex: 0, backup: false },
    remote: { id: 0, ...INITIAL.remote },
  },
};

test("bounds: what a plan adds to subflowsMax is left out, also where the others are on their way out", () => {
  let wanted = 0;
  const keen: Policy = {
    ...idle,
    plan: (view) => {
      const kept = keepAll(view).subflows.filter(({ keep }) => !keep?.join);
      return { ...keepAll(view), subflows: [...kept, ...new Array<Wanted>(wanted).fill(PLANNED)] };
    },
  };
  const engine = new Engine({ policies: [keen] });
  engine.handle(established(1), 0);
  for (let port = 1; port < BOUNDS.subflowsMax - 1; port++) engine.handle(joined(1, port), 0);
  wanted = 3;
  const again = { type: "address.announced", token: 1, remoteId: 1, address: "10.0.0.3" as Address, port: 80 } as const;
  assert.deepEqual(types(engine.handle(again, 0)), ["subflow.create"]);
  assert.equal(engine.connection(1)?.subflows.length, BOUNDS.subflowsMax);
  assert.equal(engine.snapshot().counters.bounded, 2);
});

test("bounds: removalsMax removals wait for their turn; one beyond is not told to the peer", () => {
  const engine = new Engine({ policies: [idle] });
  engine.handle(established(1), 0);
  // Another subflow works, or nothing were closed (closing.ts).
  const path = { local: end("10.0.9.9", 9), remote: INITIAL.remote };
  engine.handle({ type: "subflow.established", token: 1, path, localId: 9, remoteId: 0, backup: false }, 0);
  const address = INITIAL.local.address;
  const withdraw = (): readonly Action[] =>
    engine.handle({ type: "command.received", request: 1, command: { type: "endpoint.delete", id: 0, address } }, 0);
  assert.deepEqual(types(withdraw()), ["address.remove", "subflow.destroy", "command.answer"], "the slot was free");
  for (let waiting = 0; waiting < BOUNDS.removalsMax; waiting++)
    assert.deepEqual(types(withdraw()), ["command.answer"]);
  assert.equal(engine.snapshot().counters.bounded, 0);
  withdraw();
  assert.equal(engine.snapshot().counters.bounded, 1);
  let told = 0;
  for (let next = engine.nextTick; next !== undefined; next = engine.nextTick) {
    told += types(engine.handle({ type: "tick" }, next)).filter((type) => type === "address.remove").length;
  }
  assert.equal(told, BOUNDS.removalsMax);
});

/** Wants one subflow, or one announcement, of endpoint 1 until it has it. */
const single: Policy = {
  ...idle,
  plan: (view) => {
    const plan = keepAll(view);
    const [endpoint] = view.endpoints;
    if (!endpoint || view.isListed(1)) return plan;
    if (isSignal(endpoint)) return { ...plan, announcements: [endpoint] };
    const open = view.pairOf(endpoint, view.initialRemote);
    return { ...plan, subflows: [...plan.subflows, ...(open ? [{ open }] : [])] };
  },
};

for (const [what, type] of [
  ["subflow", "subflow.create"],
  ["announcement", "address.announce"],
] as const) {
  test(`bounds: after idConflictsMax looks at the kernel's ids the ${what} is left out`, () => {
    const engine = new Engine({ policies: [single] });
    const endpoints = [{ address: "10.0.1.1" as Address, flags: what === "subflow" ? subflow : signal }];
    engine.handle({ type: "config.changed", endpoints }, 0);
    let asked = engine.handle(established(1), 0);
    const message = "did not match address and id";
    const refuse = () =>
      engine.handle({ type: "action.failed", action: asked[0] as Action, errno: ERRNO.EINVAL, message }, 0);
    for (let looks = 0; looks < BOUNDS.idConflictsMax; looks++) {
      assert.deepEqual(types(asked), [type]);
      assert.deepEqual(types(refuse()), ["connection.inspect"]);
      asked = engine.handle({ type: "connection.observed", token: 1, observed: observed(1, 0) }, 0);
    }
    assert.deepEqual(types(asked), [type]);
    assert.deepEqual(refuse(), []);
    assert.equal(engine.connection(1)?.subflows.length, 1);
    assert.deepEqual(engine.connection(1)?.announced, []);
  });
}
