import assert from "node:assert/strict";
import { test } from "node:test";
import type { Action } from "./actions.ts";
import type { EngineEvent } from "./events.ts";
import { CHAIN_MAX, Pump } from "./pump.ts";

const TICK: EngineEvent = { type: "tick" };
const resync = (id: number): Action => ({ type: "kernel.resync", id });
const closed = (token: number): EngineEvent => ({ type: "connection.closed", token });

/** A machine whose every event is written down; `leadsTo` says how many actions follow. */
function pumpOf(leadsTo: (event: EngineEvent) => number, outcome: (action: Action) => EngineEvent) {
  const seen: EngineEvent[] = [];
  const cuts: number[] = [];
  let ids = 0;
  const pump = new Pump(
    {
      handle: (event) => {
        seen.push(event);
        return Array.from({ length: leadsTo(event) }, () => resync(++ids));
      },
    },
    { run: (actions) => actions.map(outcome), now: () => 0, onCut: (events) => cuts.push(events) },
  );
  return { pump, seen, cuts };
}

test("pump: one event may lead to any number of outcomes, and none is lost", () => {
  for (const count of [CHAIN_MAX, 5_000, 200_000]) {
    const { pump, seen, cuts } = pumpOf(
      (event) => (event.type === "tick" ? count : 0),
      ({ id }) => closed(id),
    );
    pump.feed(TICK);
    assert.equal(seen.length, count + 1);
    assert.deepEqual(cuts, []);
  }
});

test("pump: a chain without an end is cut, and said", () => {
  const { pump, seen, cuts } = pumpOf(
    () => 1,
    () => TICK,
  );
  pump.feed(TICK);
  assert.equal(seen.length, CHAIN_MAX);
  assert.deepEqual(cuts, [1]);
  pump.feed(TICK);
  assert.equal(seen.length, 2 * CHAIN_MAX, "the next event is served as ever");
});

test("pump: breadth first, and what comes from within has its turn after what was there", () => {
  const order: number[] = [];
  const pump = new Pump(
    {
      handle: (event) => {
        const token = event.type === "connection.closed" ? event.token : 0;
        order.push(token);
        if (token === 1) pump.feed(closed(50));
        return token < 10 ? [resync(token * 10 + 1), resync(token * 10 + 2)] : [];
      },
    },
    { run: (actions) => actions.map(({ id }) => closed(id)), now: () => 0 },
  );
  pump.feed(TICK);
  assert.deepEqual(order, [0, 1, 2, 50, 11, 12, 21, 22]);
});

test("pump: an event that throws takes none of the others with it", () => {
  let isBroken = true;
  const seen: number[] = [];
  const pump = new Pump(
    {
      handle: (event) => {
        if (event.type === "tick") return [resync(1), resync(2), resync(3)];
        const { token } = event as { token: number };
        if (token === 2 && isBroken) throw new Error("broken");
        seen.push(token);
        return [];
      },
    },
    { run: (actions) => actions.map(({ id }) => closed(id)), now: () => 0 },
  );
  assert.throws(() => pump.feed(TICK), /broken/);
  isBroken = false;
  pump.feed(closed(4));
  assert.deepEqual(seen, [1, 3, 4]);
});
