import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Timed, Timers } from "./timers.ts";

test("timers: whatever is set, moved and cleared, the earliest comes out first", () => {
  const step = fc.record({ item: fc.nat(20), at: fc.option(fc.nat(1000), { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const items: Timed[] = Array.from({ length: 21 }, () => ({ dueAt: 0, timerIndex: -1 }));
      const expected = new Map<Timed, number>();
      const timers = new Timers<Timed>();
      for (const { item, at } of steps) {
        const timed = items[item] as Timed;
        timers.set(timed, at);
        if (at === undefined) expected.delete(timed);
        else expected.set(timed, at);
        assert.equal(timers.next, expected.size > 0 ? Math.min(...expected.values()) : undefined);
      }
      const order: number[] = [];
      for (let popped = timers.pop(1000); popped; popped = timers.pop(1000)) order.push(popped.dueAt);
      assert.deepEqual(
        order,
        [...expected.values()].sort((a, b) => a - b),
      );
      assert.equal(timers.next, undefined);
    }),
  );
});

test("timers: nothing comes out before its time", () => {
  const timers = new Timers<Timed>();
  const item = { dueAt: 0, timerIndex: -1 };
  timers.set(item, 10);
  assert.equal(timers.pop(9), undefined);
  assert.equal(timers.pop(10), item);
});
