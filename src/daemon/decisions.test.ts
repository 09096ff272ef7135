import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Action } from "../engine/index.ts";
import type { ControlDecisions } from "../types/index.ts";
import { Decisions } from "./decisions.ts";

const TICK = { type: "tick" } as const;
const announce = (id: number): Action =>
  ({ id, type: "address.announce", token: 7, localId: 1, address: "10.0.0.1", port: 0, backup: false }) as Action;
const many = (count: number): Action[] => Array.from({ length: count }, (_, id) => announce(id));

function watched() {
  const states: boolean[] = [];
  const decisions = new Decisions(
    () => 5,
    (isWatched) => states.push(isWatched),
  );
  const answers: ControlDecisions[] = [];
  const ask = (after?: number): void => decisions.ask(after, (result) => answers.push(result as ControlDecisions));
  return { decisions, states, answers, ask };
}

test("who watches is told of what comes then, when the turn is over, and from where to go on", async () => {
  const { decisions, states, answers, ask } = watched();
  using _ = decisions;
  ask();
  assert.deepEqual([states, answers[0]], [[true], { next: 0, lost: 0, decisions: [] }]);
  ask(0);
  decisions.note(TICK, [announce(1)]);
  decisions.note({ type: "network.changed" }, [announce(2), { id: 3, type: "connection.inspect" } as never]);
  assert.equal(answers.length, 1);
  await turn();
  assert.deepEqual(
    answers[1]?.decisions.map(({ type, token, because }) => [type, token, because]),
    [
      ["address.announce", 7, "the time has come"],
      ["address.announce", 7, "the network has changed"],
    ],
  );
  ask(1);
  assert.deepEqual([answers[2]?.next, answers[2]?.decisions.length], [2, 1], "what came meanwhile, at once");
});

test("who is slow loses detail, and is told how much", () => {
  const { decisions, answers, ask } = watched();
  using _ = decisions;
  ask();
  decisions.note(TICK, many(3000));
  ask(0);
  assert.deepEqual([answers[1]?.next, answers[1]?.lost, answers[1]?.decisions.length], [3000, 2000, 1000]);
  // Of an earlier life, which had come further.
  ask(9000);
  assert.deepEqual([answers[2]?.lost, answers[2]?.decisions.length], [0, 1000]);
});

test("no more wait than there may be", () => {
  const { decisions, answers, ask } = watched();
  using _ = decisions;
  for (let n = 0; n < 70; n++) ask(0);
  assert.equal(answers.length, 6);
});
