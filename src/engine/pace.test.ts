import assert from "node:assert/strict";
import { test } from "node:test";
import { established, INITIAL } from "../../test/fixtures/engine.ts";
import { policies } from "../policies/index.ts";
import { type Address, ENDPOINT_FLAG, type Millis } from "../types/index.ts";
import { TIMING } from "./bounds.ts";
import { Engine } from "./engine.ts";
import type { EngineEvent } from "./events.ts";
import { Pump } from "./pump.ts";

/** When a server with five more addresses announces each; `roundTrip` is what the kernel says of the path. */
function announcedAt(roundTrip: Millis): Millis[] {
  const times: Millis[] = [];
  let now = 0;
  const engine = new Engine({ policies });
  const observed = (token: number): EngineEvent => ({
    type: "connection.observed",
    token,
    observed: {
      connection: {
        token,
        path: INITIAL,
        state: "established",
        subflows: [{ path: INITIAL, state: "established", rtt: 1000 * roundTrip }],
      },
      localAddresses: [],
    } as never,
  });
  const pump = new Pump(engine, {
    now: () => now,
    run: (actions) => {
      for (const { type } of actions) if (type === "address.announce") times.push(now);
      return actions.flatMap((action) => (action.type === "connection.inspect" ? [observed(action.token)] : []));
    },
  });
  const endpoints = [1, 2, 3, 4, 5].map((n) => ({ address: `10.0.${n}.1` as Address, flags: ENDPOINT_FLAG.signal }));
  pump.feed({ type: "config.changed", endpoints });
  pump.feed(established(1));
  while (engine.nextTick !== undefined && times.length < 6) {
    now = Math.max(now, engine.nextTick);
    pump.feed({ type: "tick" });
  }
  return times;
}

const gaps = (times: readonly Millis[]) => times.slice(1).map((time, index) => time - (times[index] as Millis));

test("pace: over a path of 2 ms five addresses are announced within 100 ms", () => {
  const times = announcedAt(2);
  assert.equal(times.length, 5);
  assert.ok((times.at(-1) as Millis) <= 100, times.join());
  assert.ok(
    gaps(times).every((gap) => gap >= TIMING.announcePaceMin),
    times.join(),
  );
});

test("pace: over a path of 400 ms each waits for the echo of the one before", () => {
  const times = announcedAt(400);
  assert.equal(times.length, 5);
  assert.ok(
    gaps(times).every((gap) => gap > 400),
    times.join(),
  );
});

test("pace: where the kernel says no round trip, as ever", () => {
  assert.deepEqual(gaps(announcedAt(0)), new Array(4).fill(TIMING.announcePace));
});
