import assert from "node:assert/strict";
import { test } from "node:test";
import { Paced } from "./paced.ts";

test("paced: at once, then at most once a gap, and nothing that was asked for is forgotten", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  const ran: number[] = [];
  const pass = (duration: number) => {
    for (const end = now + duration; now < end; ) {
      now++;
      context.mock.timers.tick(1);
    }
  };
  using paced = new Paced(
    100,
    () => now,
    () => ran.push(now),
  );
  paced.ask();
  pass(1);
  assert.deepEqual(ran, [1]);
  for (let times = 0; times < 50; times++) {
    paced.ask();
    pass(1);
  }
  assert.deepEqual(ran, [1]);
  pass(50);
  assert.deepEqual(ran, [1, 101]);
  pass(1000);
  assert.deepEqual(ran, [1, 101], "not without being asked");
  paced.ask();
  pass(1);
  assert.deepEqual(ran, [1, 101, 1102]);
});

test("paced: nothing is done after its end", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const paced = new Paced(
    100,
    () => 0,
    () => assert.fail("it has ended"),
  );
  paced.ask();
  paced[Symbol.dispose]();
  context.mock.timers.tick(1000);
});
