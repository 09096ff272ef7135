import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Rest } from "./rest.ts";

const QUIET = 10_000;
const MUCH = 10_000;

/** A daemon at work and at rest: what is done in each period, and after which of them it rested. */
function live(context: TestContext, work: readonly number[]): number[] {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const rested: number[] = [];
  let period = 0;
  const rest = new Rest(() => rested.push(period));
  for (const events of work) {
    if (events > 0) rest.worked(events);
    context.mock.timers.tick(QUIET);
    period++;
  }
  rest[Symbol.dispose]();
  context.mock.timers.tick(10 * QUIET);
  context.mock.timers.reset();
  return rested;
}

test("rest: once after the start, when a whole period was quiet", (context) => {
  assert.deepEqual(live(context, [0, 0, 0, 0, 0]), [1]);
  assert.deepEqual(live(context, [1, 1, 1, 0, 0]), [3], "a period with an event is not quiet");
});

test("rest: again only after much work, wherever it was done", (context) => {
  assert.deepEqual(live(context, [0, 0, MUCH - 1, 0, 0, 0]), [1]);
  assert.deepEqual(live(context, [0, 0, MUCH, 0, 0, 0]), [1, 3]);
  assert.deepEqual(live(context, [0, 0, MUCH / 2, 0, 0, MUCH / 2, 0, 0]), [1, 6]);
  assert.deepEqual(live(context, [0, 0, 5 * MUCH, 0, 0, 1, 0, 0]), [1, 3], "one rest is for all of it");
});

test("rest: never while events come, however many", (context) => {
  assert.deepEqual(live(context, [MUCH, MUCH, MUCH, MUCH]), []);
});

test("rest: garbage that nobody would collect is gone before the refresh", async (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const garbage = new WeakRef(new Array(1000).fill("old"));
  // A WeakRef keeps its target to the end of the job that made it.
  await new Promise(setImmediate);
  let left: unknown = "not rested";
  using rest = new Rest(() => {
    left = garbage.deref();
  });
  context.mock.timers.tick(2 * QUIET);
  assert.equal(left, undefined);
  rest.worked(0);
});
