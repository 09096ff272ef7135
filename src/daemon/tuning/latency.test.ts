import assert from "node:assert/strict";
import { test } from "node:test";
import { Histogram, LATENCY_BOUNDS, Latency } from "./latency.ts";

test("latency: each time is counted under the first bound that it does not exceed", () => {
  const histogram = new Histogram();
  for (const took of [0, 0.005, 0.006, 1000, 1000.001, 5e6]) histogram.add(took);
  const { counts, sum } = histogram.counts;
  assert.equal(counts.length, LATENCY_BOUNDS.length + 1);
  assert.deepEqual([counts[0], counts[1], counts.at(-2), counts.at(-1)], [2, 1, 1, 2]);
  assert.equal(sum, 5_002_000.012);
});

test("latency: a decision is counted from its events on, a command of a timer as a command alone", () => {
  let time = 0;
  const latency = new Latency(() => time);
  const send = (requests: number): number => {
    time += 0.04;
    return requests + 1;
  };
  latency.begin();
  time += 3;
  assert.equal(latency.sent(1, send), 2);
  latency.end();
  time += 100;
  latency.sent(1, send);
  const { decisions, commands } = latency.counts;
  const found = ({ counts }: { counts: readonly number[] }) =>
    counts.flatMap((count, at) => (count > 0 ? [[LATENCY_BOUNDS[at], count]] : []));
  assert.deepEqual(found(decisions), [[5, 1]]);
  assert.deepEqual(found(commands), [[0.05, 2]]);
  assert.throws(() =>
    latency.sent(1, () => {
      throw new Error("the kernel is gone");
    }),
  );
});
