import assert from "node:assert/strict";
import { test } from "node:test";
import type { Logger } from "../logger.ts";
import { StateKeeper } from "./state-keeper.ts";

test("state: a failure is said once and tried again, ever more slowly, with the latest state", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { timers } = context.mock;
  const said: string[] = [];
  const log = {
    error: (text: string) => said.push(text),
    info: (text: string) => said.push(text),
  } as unknown as Logger;
  const tried: number[] = [];
  let isFull = true;
  const keeper = new StateKeeper<number>((state) => {
    tried.push(state);
    if (isFull) throw new Error("ENOSPC");
  }, log);
  keeper.save(1);
  keeper.save(2);
  assert.equal(keeper.trouble, "the state cannot be written: ENOSPC");
  assert.deepEqual(tried.splice(0), [1, 2]);
  timers.tick(1000);
  assert.deepEqual(tried.splice(0), [2], "after a second");
  timers.tick(1999);
  assert.deepEqual(tried, []);
  timers.tick(1);
  assert.deepEqual(tried.splice(0), [2], "after two more");
  keeper.save(3);
  isFull = false;
  timers.tick(4000);
  assert.deepEqual(tried.splice(0), [3, 3]);
  assert.equal(keeper.trouble, undefined);
  timers.tick(1_000_000);
  assert.deepEqual(tried, []);
  assert.equal(said.length, 2);
  assert.match(said.join("\n"), /cannot be written: ENOSPC.*\n.*written again/);
});

test("state: at the end nothing is tried any more", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let tries = 0;
  const log = { error: () => undefined } as unknown as Logger;
  const keeper = new StateKeeper<number>(() => {
    tries++;
    throw new Error("ENOSPC");
  }, log);
  keeper.save(1);
  keeper[Symbol.dispose]();
  context.mock.timers.tick(100_000);
  assert.equal(tries, 1);
});
