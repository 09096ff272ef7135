import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { REST } from "../host/index.ts";
import { Pace } from "./pace.ts";

/** A clock that the timers follow. */
function clockOf(context: TestContext) {
  context.mock.timers.enable({ apis: ["setTimeout", "setImmediate"] });
  const clock = { now: 1000, pass };
  function pass(duration: number): void {
    if (duration === 0) context.mock.timers.tick(0);
    for (const end = clock.now + duration; clock.now < end; ) {
      clock.now++;
      context.mock.timers.tick(1);
    }
  }
  return clock;
}

test("work goes at once the first time, then as seldom as its cost wants it, and is not lost", (context) => {
  const clock = clockOf(context);
  const cost = 7;
  let runs = 0;
  using pace = new Pace({
    now: () => clock.now,
    rest: REST,
    run: () => {
      runs++;
      clock.now += cost;
    },
  });
  pace.ask();
  assert.equal(runs, 0, "in a turn of its own");
  clock.pass(0);
  assert.equal(runs, 1, "at once");
  pace.ask();
  pace.ask();
  assert.equal(runs, 1);
  clock.pass(REST * cost - 1);
  assert.equal(runs, 1);
  clock.pass(1);
  assert.equal(runs, 2, "asked for twice, done once");
  clock.pass(10 * REST * cost);
  assert.equal(runs, 2);
  pace.ask();
  clock.pass(0);
  assert.equal(runs, 3, "at once after a rest");
});

test("at once, then at most once a gap, and nothing that was asked for is forgotten", (context) => {
  const clock = clockOf(context);
  const ran: number[] = [];
  using pace = new Pace({ now: () => clock.now, gap: 100, run: () => ran.push(clock.now) });
  pace.ask();
  clock.pass(0);
  assert.deepEqual(ran, [1000]);
  for (let times = 0; times < 50; times++) {
    pace.ask();
    clock.pass(1);
  }
  assert.deepEqual(ran, [1000]);
  clock.pass(50);
  assert.deepEqual(ran, [1000, 1100]);
  clock.pass(1000);
  assert.deepEqual(ran, [1000, 1100], "not without being asked");
  pace.ask();
  clock.pass(0);
  assert.deepEqual(ran, [1000, 1100, 2100]);
});

test("nothing is done after its end", (context) => {
  const clock = clockOf(context);
  const never = new Pace({ now: () => clock.now, run: () => assert.fail("it has ended") });
  never.ask();
  never[Symbol.dispose]();
  clock.pass(1000);
  let runs = 0;
  const pace = new Pace({ now: () => clock.now, gap: 100, run: () => runs++ });
  pace.ask();
  clock.pass(0);
  pace.ask();
  pace[Symbol.dispose]();
  clock.pass(1000);
  assert.equal(runs, 1);
});
