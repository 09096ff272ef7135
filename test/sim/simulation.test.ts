import assert from "node:assert/strict";
import { test } from "node:test";
import { policies } from "../../src/policies/index.ts";
import { type Faults, SimulationError, simulate } from "../../src/sim/index.ts";

/** SIM_RUNS=1000 for a long night. */
const RUNS = Number(process.env.SIM_RUNS ?? 60);
const STEPS = 1500;
const NO_FAULTS: Faults = { lose: 0, repeat: 0, swap: 0, overrun: 0, late: 0, restart: 0, grabId: 0 };

test("simulation: the laws hold on a host where nothing goes wrong", () => {
  for (let seed = 1; seed <= RUNS / 2; seed++) {
    const { events, connections } = simulate({ seed, steps: STEPS, policies, faults: NO_FAULTS });
    assert.ok(events > STEPS / 2 && connections > 10, "something happened");
  }
});

test("simulation: the laws hold under lost, repeated, swapped and late events, overruns, restarts", () => {
  let restarts = 0;
  for (let seed = 1; seed <= RUNS; seed++) restarts += simulate({ seed, steps: STEPS, policies }).restarts;
  assert.ok(restarts > 0, "restarts were among it");
});

for (const fault of ["lose", "repeat", "swap", "overrun", "late", "restart", "grabId"] as const) {
  test(`simulation: the laws hold when "${fault}" happens all the time`, () => {
    const often = fault === "restart" || fault === "overrun" ? 0.02 : 0.2;
    for (let seed = 1; seed <= RUNS / 6; seed++) {
      simulate({ seed, steps: STEPS, policies, faults: { ...NO_FAULTS, [fault]: often } });
    }
  });
}

test("simulation: one seed, one run", () => {
  const run = () => simulate({ seed: 42, steps: 2000, policies });
  assert.deepEqual(run(), run());
});

test("simulation: a broken law is found, and tells its seed and transcript", () => {
  const [standard] = policies;
  // A policy that wants a subflow to remote id 0 from a made-up id 0 address: against two laws at once.
  const careless = {
    ...standard,
    name: "careless",
    plan: (view: Parameters<typeof standard.plan>[0]) => {
      const plan = standard.plan(view);
      const subflows = plan.subflows.map((s) => (s.state === "planned" ? { ...s, localId: 0 } : s));
      return { ...plan, subflows };
    },
  };
  assert.throws(
    () => {
      for (let seed = 1; seed < 20; seed++) simulate({ seed, steps: STEPS, policies: [careless] });
    },
    (error) => error instanceof SimulationError && error.message.includes("--seed") && error.transcript.length > 0,
  );
});
