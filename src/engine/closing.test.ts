import assert from "node:assert/strict";
import { test } from "node:test";
import { end, established, INITIAL, types } from "../../test/fixtures/engine.ts";
import { policies, resilient } from "../policies/index.ts";
import { type Address, ENDPOINT_FLAG, type Path } from "../types/index.ts";
import type { Action } from "./actions.ts";
import type { Command } from "./commands.ts";
import { Engine } from "./engine.ts";

const WIFI = INITIAL.local.address;
const CELL = "10.0.2.1" as Address;

/** An engine with a connection over the first address, which is an endpoint; and its administrator. */
function connected(...others: Address[]) {
  const engine = new Engine({ policies });
  let now = 0;
  const command = (wanted: Command): readonly Action[] => {
    now += 100;
    return engine
      .handle({ type: "command.received", request: 1, command: wanted }, now)
      .filter(({ type }) => type !== "command.answer");
  };
  const add = (address: Address) => command({ type: "endpoint.add", address, flags: ENDPOINT_FLAG.subflow });
  const remove = (address: Address) => {
    const id = engine.endpoints().find((endpoint) => endpoint.address === address)?.id ?? 0;
    return command({ type: "endpoint.delete", id });
  };
  for (const address of [WIFI, ...others]) add(address);
  const joined = (local: Address, port: number, localId: number) => {
    const path: Path = { local: end(local, port), remote: INITIAL.remote };
    now += 100;
    return engine.handle({ type: "subflow.established", token: 1, path, localId, remoteId: 0, backup: false }, now);
  };
  engine.handle(established(1), now);
  const subflows = () => engine.connection(1)?.subflows.map(({ state, held }) => (held ? "held" : state));
  return { engine, command, add, remove, joined, subflows };
}

test("closing: the endpoint of the only subflow is deleted: nothing is sent, and it stays in use", () => {
  const { remove, subflows } = connected();
  assert.deepEqual(remove(WIFI), []);
  assert.deepEqual(subflows(), ["held"]);
});

for (const command of [
  { type: "endpoint.flush" },
  { type: "endpoint.delete", id: 0, address: WIFI },
] satisfies Command[]) {
  test(`closing: ${command.type} spares the last subflow`, () => {
    const { command: ask, subflows } = connected();
    assert.deepEqual(ask(command), []);
    assert.deepEqual(subflows(), ["held"]);
  });
}

test("closing: what was held is closed, and withdrawn, as soon as another subflow works", () => {
  const { add, remove, joined } = connected();
  remove(WIFI);
  assert.deepEqual(types(add(CELL)), ["subflow.create"], "to the policy the held one is gone");
  assert.deepEqual(types(joined(CELL, 40_001, 1)), ["address.remove", "subflow.destroy"]);
});

test("closing: the address comes back: it is connected from anew, then the old one ends without an RM_ADDR", () => {
  const { add, remove, joined, subflows } = connected();
  remove(WIFI);
  const [create, ...rest] = add(WIFI);
  assert.deepEqual(rest, []);
  assert.equal(create?.type === "subflow.create" && create.localId, 0);
  assert.deepEqual(subflows(), ["held", "creating"]);
  assert.deepEqual(types(joined(WIFI, 40_002, 0)), ["subflow.destroy"]);
});

test("closing: the address comes back and no other subflow can be made: as if it had never gone", () => {
  const { engine, add, remove, subflows } = connected();
  remove(WIFI);
  const create = add(WIFI)[0];
  assert.ok(create);
  engine.handle({ type: "action.failed", action: create, errno: 111, message: "connect error: -111" }, 1000);
  assert.deepEqual(subflows(), ["established"]);
});

test("closing: of two paths both may go, in any order: one subflow is left", () => {
  for (const order of [
    [WIFI, CELL],
    [CELL, WIFI],
  ]) {
    const { remove, joined, subflows } = connected(CELL);
    joined(CELL, 40_001, 2);
    for (const address of order) remove(address);
    assert.deepEqual(
      subflows()?.filter((state) => state !== "closing"),
      ["held"],
    );
  }
});

test("closing: an RM_ADDR that waits for its turn is held when its subflow has become the last", () => {
  const { engine, command, joined } = connected(CELL);
  joined(CELL, 40_001, 2);
  joined("10.0.3.1" as Address, 40_002, 3);
  engine.handle({ type: "subflow.closed", token: 1, path: INITIAL, localId: 0, remoteId: 0 }, 400);
  command({ type: "endpoint.flush" });
  const path: Path = { local: end("10.0.3.1", 40_002), remote: INITIAL.remote };
  engine.handle({ type: "subflow.closed", token: 1, path, localId: 3, remoteId: 0, errno: 104 }, 600);
  assert.deepEqual(types(engine.handle({ type: "tick" }, 5000)), []);
});

test("closing: an end that is told after a look has shown it is not that of the next subflow from there", () => {
  const engine = new Engine({ policies: [resilient] });
  const flags = ENDPOINT_FLAG.subflow;
  engine.handle({ type: "config.changed", endpoints: [WIFI, CELL].map((address) => ({ address, flags })) }, 0);
  engine.handle({ type: "connection.established", token: 1, side: "client", path: INITIAL, denyJoinId0: false }, 100);
  const path: Path = { local: end(CELL, 40_001), remote: INITIAL.remote };
  engine.handle({ type: "subflow.established", token: 1, path, localId: 2, remoteId: 0, backup: false }, 200);
  const info = { state: "established", path, localId: 2, remoteId: 0, join: true, initiated: true, backupLocal: false };
  const facts = { token: 1, state: "established", path: INITIAL, pathManager: "userspace", side: "client" };
  const observed = { connection: { ...facts, subflows: [info] }, localAddresses: [] } as never;
  const look = engine.handle({ type: "connection.observed", token: 1, observed }, 300);
  assert.deepEqual(types(look), ["subflow.create"], "the lost one is opened anew");
  const states = () => engine.connection(1)?.subflows.map(({ state }) => state);
  assert.deepEqual(states(), ["established", "creating"]);
  const closed = (path: Path, errno: number) =>
    engine.handle({ type: "subflow.closed", token: 1, path, localId: 0, remoteId: 0, errno }, 310);
  closed(INITIAL, 104);
  assert.deepEqual(states(), ["established", "creating"], "its end was known");
  closed({ local: end(WIFI, 40_002), remote: INITIAL.remote }, 111);
  assert.deepEqual(states(), ["established"], "this one was refused");
});
