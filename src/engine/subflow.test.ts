import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address } from "../types/index.ts";
import type { SubflowState } from "./policy.ts";
import { type Cause, Subflow, TRANSITIONS } from "./subflow.ts";

const end = { address: "10.0.0.1" as Address, port: 1 };

const STATES: readonly SubflowState[] = ["creating", "arrived", "established", "closing"];
const CAUSES: readonly Cause[] = ["opened", "admitted", "closed", "kept", "awaited"];

for (const state of STATES) {
  for (const cause of CAUSES) {
    const next = TRANSITIONS[state][cause];
    test(`a subflow that is ${state} and is ${cause}: ${next ?? "an error of ours"}`, () => {
      const ids = { localId: 0, remoteId: 0, join: true, initiated: true, backup: false };
      const subflow = new Subflow({ state, path: { local: end, remote: end }, ...ids });
      if (next) {
        subflow.become(cause);
        assert.equal(subflow.state, next);
      } else {
        assert.throws(() => subflow.become(cause), { name: "AssertionError", message: /cannot be/ });
        assert.equal(subflow.state, state);
      }
    });
  }
}

test("every state can be left, and every one but `arrived` and `creating` be come to again", () => {
  const reached = new Set(STATES.flatMap((state) => Object.values(TRANSITIONS[state])));
  assert.deepEqual([...reached].sort(), ["closing", "creating", "established"]);
  for (const state of STATES) assert.ok(Object.keys(TRANSITIONS[state]).length > 0);
});
