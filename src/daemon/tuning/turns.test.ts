import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Turns } from "./turns.ts";

test("turns follow each other as each says, one that throws costs itself, and nothing runs after the end", () => {
  const timers: { readonly run: () => void; readonly delay: number | undefined }[] = [];
  const fake = (run: () => void, delay?: number) => timers.push({ run, delay }) as unknown as NodeJS.Timeout;
  const { mock: faked } = mock.method(globalThis, "setTimeout", fake as typeof setTimeout);
  try {
    let count = 0;
    let next: number | undefined = 10;
    const turns = new Turns(() => {
      count++;
      if (count === 2) throw new Error("the second");
      return next;
    }, 100);
    const delays = () => timers.map(({ delay }) => delay);
    assert.equal(turns.isRunning, false);
    turns.begin(5);
    turns.begin(1);
    assert.deepEqual(delays(), [5], "a second beginning is none");
    timers[0]?.run();
    assert.throws(() => timers[1]?.run(), /the second/);
    assert.deepEqual([count, delays()], [2, [5, 10, 100]]);
    next = undefined;
    timers[2]?.run();
    assert.deepEqual([count, turns.isRunning], [3, false]);
    turns.begin(7);
    assert.equal(turns.isRunning, true);
    turns[Symbol.dispose]();
    turns.begin(8);
    assert.deepEqual([count, turns.isRunning, delays()], [3, false, [5, 10, 100, 7]]);
  } finally {
    faked.restore();
  }
});
