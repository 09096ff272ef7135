import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { IdleWork } from "./idle-work.ts";

/** A clock that only work moves. */
class World {
  now = 0;
  served = 0;
  steps = 0;
  end: boolean | undefined;
  isReturned = false;

  start(count: number, cost: number): IdleWork {
    return new IdleWork({
      steps: this.#work(count, cost),
      served: () => this.served,
      now: () => this.now,
      onEnd: (isWhole) => {
        this.end = isWhole;
      },
    });
  }

  *#work(count: number, cost: number): Generator<void> {
    try {
      for (let left = count; left > 0; left--) {
        this.steps++;
        this.now += cost;
        yield;
      }
    } finally {
      this.isReturned = true;
    }
  }
}

test("idle work: a turn takes no more than its slice, and all is done in the end", async () => {
  const world = new World();
  using _work = world.start(10, 1);
  assert.equal(world.steps, 0, "nothing before the first turn");
  const seen: number[] = [];
  while (world.end === undefined) {
    await turn();
    seen.push(world.steps);
  }
  assert.equal(world.end, true);
  assert.equal(world.steps, 10);
  const turns = seen.map((steps, index) => steps - (seen[index - 1] ?? 0));
  assert.ok(
    turns.every((steps) => steps <= 3),
    turns.join(),
  );
});

test("idle work: after something was served it waits", async () => {
  const world = new World();
  using _work = world.start(1000, 1);
  await turn();
  const before = world.steps;
  world.served++;
  for (let turns = 0; turns < 5; turns++) await turn();
  assert.ok(world.steps <= before + 3, "one slice may have been under way");
  while (world.end === undefined) await turn();
  assert.equal(world.end, true);
});

test("idle work: it is given up when it takes too long in all, or a step does", async () => {
  for (const cost of [99, 101]) {
    const world = new World();
    using _work = world.start(1_000_000, cost);
    while (world.end === undefined) await turn();
    assert.equal(world.end, false);
    assert.equal(world.steps, cost > 100 ? 1 : Math.ceil(20_001 / cost));
    assert.ok(world.isReturned, "what it holds is given back");
  }
});

test("idle work: it ends when it is told to", async () => {
  const world = new World();
  const work = world.start(1000, 1);
  await turn();
  work[Symbol.dispose]();
  const { steps } = world;
  for (let turns = 0; turns < 5; turns++) await turn();
  assert.equal(world.steps, steps);
  assert.equal(world.end, undefined);
});
