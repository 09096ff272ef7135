import assert from "node:assert/strict";
import { test } from "node:test";
import { Pace, REST } from "./pace.ts";
import { Sysctls } from "./sysctls.ts";

test("work goes at once the first time, then as seldom as its cost wants it, and is not lost", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let [now, runs] = [1000, 0];
  const cost = 7;
  using pace = new Pace(
    () => now,
    () => {
      runs++;
      now += cost;
    },
  );
  const pass = (time: number): void => {
    now += time;
    t.mock.timers.tick(time);
  };
  pace.ask();
  assert.equal(runs, 1, "at once");
  pace.ask();
  pace.ask();
  assert.equal(runs, 1);
  pass(REST * cost - 1);
  assert.equal(runs, 1);
  pass(1);
  assert.equal(runs, 2, "asked for twice, done once");
  pass(10 * REST * cost);
  assert.equal(runs, 2);
  pace.ask();
  assert.equal(runs, 3, "at once after a rest");
});

test("sysctls are read when somebody asks, once until they are forgotten", () => {
  const files = new Map([["a", "1"]]);
  const read: string[] = [];
  const sysctls = new Sysctls((name) => {
    read.push(name);
    return files.get(name);
  });
  assert.deepEqual(
    [sysctls.get("a"), sysctls.get("a"), sysctls.get("b"), sysctls.get("b")],
    ["1", "1", undefined, undefined],
  );
  assert.deepEqual(read, ["a", "b"]);
  const { revision } = sysctls;
  sysctls.forget();
  assert.equal(sysctls.get("a"), "1");
  assert.equal(sysctls.revision, revision, "nothing changed");
  files.set("a", "2");
  sysctls.forget();
  assert.equal(sysctls.get("a"), "2");
  assert.notEqual(sysctls.revision, revision);
});
