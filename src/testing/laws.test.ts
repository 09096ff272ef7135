import assert from "node:assert/strict";
import { test } from "node:test";
import { keepAll } from "../../test/fixtures/engine.ts";
import type { Policy } from "../engine/index.ts";
import { interactive, ndiffports, policies, refresh, resilient } from "../policies/index.ts";
import { checkPolicy, LawBroken } from "./laws.ts";

/** Of some pairs they open more than one subflow, if only for a moment. */
const SEVERAL_PER_PAIR = [refresh, ndiffports, interactive] as unknown as readonly Policy[];

for (const policy of policies) {
  test(`laws: ${policy.name} keeps them`, () =>
    checkPolicy(policy, { runs: 3, severalPerPair: SEVERAL_PER_PAIR.includes(policy) }));
}

let count = 0;

/** Each breaks one law. */
const BROKEN: readonly [string, RegExp, Policy][] = [
  ["throws", /^no plan is refused/, { ...resilient, plan: () => assert.fail("no") }],
  ["wakes without end", /^it is seldom asked/, { ...resilient, plan: (v) => ({ ...keepAll(v), wakeAt: v.now + 1 }) }],
  [
    "depends on more than it is given",
    /^planning twice/,
    { ...resilient, plan: (view) => ({ ...keepAll(view), memory: count++ }) },
  ],
  [
    "changes its memory",
    /^a memory is not changed/,
    {
      ...resilient,
      begin: () => ({ times: 0 }),
      plan: (view, memory) => {
        (memory as { times: number }).times = 1;
        return keepAll(view);
      },
    },
  ],
  [
    "does not come to rest",
    /^when all has succeeded/,
    {
      name: "restless",
      plan: (view) => ({
        subflows: keepAll(view).subflows.map(({ keep }) => ({ keep: keep as never, backup: !(keep?.backup ?? false) })),
        wakeAt: view.now + 1000,
      }),
    },
  ],
];

for (const [name, law, policy] of BROKEN) {
  test(`laws: a policy that ${name} is found out`, () => {
    assert.throws(
      () => checkPolicy(policy, { runs: 3, steps: 300 }),
      (error) => error instanceof LawBroken && law.test(error.message),
    );
  });
}
