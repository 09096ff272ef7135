import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ConnectionPlan,
  type ConnectionView,
  type Occasion,
  type Policy,
  type Rule,
  TIMING,
} from "../../src/engine/index.ts";
import { policies, resilient } from "../../src/policies/index.ts";
import { NO_FAULTS, Random, SimulationError, simulate } from "../../src/sim/index.ts";

/** SIM_RUNS=1000 for a long night. */
const RUNS = Number(process.env.SIM_RUNS ?? 40);
const STEPS = 1500;

test("simulation: the laws hold on a host where nothing goes wrong", () => {
  for (let seed = 1; seed <= RUNS / 2; seed++) {
    const { events, connections, reports } = simulate({ seed, steps: STEPS, policies, faults: NO_FAULTS });
    assert.ok(events > STEPS / 2 && connections > 10, "something happened");
    assert.equal(reports, 0, "no plan of the policy was refused");
  }
});

test("simulation: the laws hold under lost, repeated, swapped and late events, overruns, restarts", () => {
  let restarts = 0;
  for (let seed = 1; seed <= RUNS; seed++) {
    const result = simulate({ seed, steps: STEPS, policies });
    restarts += result.restarts;
    assert.equal(result.reports, 0, "no plan of the policy was refused");
  }
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

test("simulation: announcements are so far apart that the peer has time for each, whatever the round trip", () => {
  const dropped = (announcePace: number): number => {
    let sum = 0;
    for (let seed = 1; seed <= 20; seed++) {
      sum += simulate({
        seed,
        steps: STEPS,
        policies,
        faults: NO_FAULTS,
        timing: { announcePace },
      }).announcementsDropped;
    }
    return sum;
  };
  // Not 0: a join, an administrator's command or a refused subflow are occasions of their own, as in the kernel.
  assert.ok(dropped(TIMING.announcePace) * 10 < dropped(1));
});

test("simulation: the laws hold with what is tried again and again", () => {
  for (const faults of [NO_FAULTS, undefined]) {
    for (let seed = 1; seed <= RUNS / 4; seed++) {
      const { reports } = simulate({ seed, steps: STEPS, policies: [resilient], faults });
      assert.equal(reports, 0, "no plan of the policy was refused");
    }
  }
});

const RULES: readonly Rule[] = [
  { name: "slow", match: { users: [1] }, policy: "active-backup", given: { hold_down: 100 } },
  { name: "late", match: { users: [2], side: "client" }, delay: { age: 300, bytes: 5000 }, limits: { subflows: 1 } },
  { name: "as the kernel", match: { side: "server" }, policy: "standard" },
];

test("simulation: the laws hold where rules give each connection a policy of its own", () => {
  for (const faults of [NO_FAULTS, undefined]) {
    for (let seed = 1; seed <= RUNS / 4; seed++) {
      const { reports } = simulate({ seed, steps: STEPS, policies: [resilient, ...policies], faults, rules: RULES });
      assert.equal(reports, 0, "no plan of a policy was refused");
    }
  }
});

test("simulation: where the kernel opens no backup subflow, each that is to be one is so in the end", () => {
  for (const faults of [NO_FAULTS, undefined]) {
    for (let seed = 1; seed <= RUNS / 4; seed++)
      simulate({ seed, steps: STEPS, policies: [resilient, ...policies], faults, rules: RULES, createsNoBackup: true });
  }
});

test("simulation: one seed, one run", () => {
  const run = () => simulate({ seed: 42, steps: 2000, policies });
  assert.deepEqual(run(), run());
});

/** Throws, or plans nonsense, by the seed; else as `standard`. */
function flaky(seed: number): { readonly policy: Policy; failures: number } {
  const [standard] = policies;
  const random = new Random(seed);
  const result = { failures: 0, policy: { ...standard, name: "flaky", plan } satisfies Policy };
  function plan(view: ConnectionView, memory: unknown, occasion: Occasion): ConnectionPlan {
    const sound = standard.plan(view, memory, occasion, {});
    if (!random.chance(0.2)) return sound;
    result.failures++;
    if (random.chance(0.5)) throw new Error("by the seed");
    // Half good, so that a plan that is not refused as a whole would be seen.
    return { ...sound, subflows: sound.subflows.slice(0, 1), wakeAt: 0 };
  }
  return result;
}

test("simulation: the laws hold with a policy that throws or plans nonsense at random", () => {
  let [failures, reports] = [0, 0];
  for (let seed = 1; seed <= RUNS / 2; seed++) {
    const one = flaky(seed);
    reports += simulate({ seed, steps: STEPS, policies: [one.policy] }).reports;
    failures += one.failures;
  }
  assert.ok(reports > 0 && failures > reports, "it failed often, which was reported once a connection");
});

test("simulation: a broken law is found, and tells its seed and transcript", () => {
  const [standard] = policies;
  // A policy that forgets what was used: after a restart it wants the same subflow again.
  const forgetful: Policy = {
    ...standard,
    name: "forgetful",
    plan: (view, memory, occasion, values) => {
      const plan = standard.plan(view, memory, occasion, values);
      const joins = plan.subflows.flatMap(({ keep }) => (keep?.join && keep.initiated ? [keep] : []));
      const join = joins.find(({ state }) => state === "established");
      const endpoint = view.endpoints.find(({ address }) => address === join?.path.local.address);
      if (!join || !endpoint || plan.subflows.length > 5) return plan;
      const open = view.pairOf(endpoint, { id: join.remoteId, ...join.path.remote });
      return { ...plan, subflows: [...plan.subflows, ...(open ? [{ open }] : [])] };
    },
  };
  assert.throws(
    () => {
      for (let seed = 1; seed < 20; seed++) simulate({ seed, steps: STEPS, policies: [forgetful] });
    },
    (error) => error instanceof SimulationError && error.message.includes("--seed") && error.transcript.length > 0,
  );
});
