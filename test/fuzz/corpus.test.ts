import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/sim/index.ts";
import { readCorpus } from "./corpus.ts";
import { FuzzError, runInput } from "./fuzzer.ts";
import { mutate } from "./mutate.ts";
import { TARGETS } from "./targets.ts";

/** Mutations of each kept input, by its number: the same ones every time. */
const MUTATIONS = 4;

for (const [name, target] of Object.entries(TARGETS)) {
  test(`fuzz: ${name}: the kept inputs, and some like them, do no harm`, (context) => {
    const corpus = readCorpus(name);
    assert.ok(corpus.length > 0, "inputs are kept");
    let messages = 0;
    for (const [number, input] of [...corpus, ...target.seeds].entries()) {
      messages += runInput(name, target, input);
      const random = new Random(number);
      for (let n = 0; n < MUTATIONS; n++)
        messages += runInput(name, target, mutate(input, corpus, target.words, random));
    }
    context.diagnostic(`${corpus.length} inputs, ${messages} messages`);
  });
}

test("fuzz: what fails is told with its input", () => {
  const target = { seeds: [], words: [], run: (bytes: Uint8Array) => assert.notEqual(bytes[0], 7) ?? 1 };
  assert.equal(runInput("one", target, Uint8Array.of(6)), 1);
  assert.throws(
    () => runInput("one", target, Uint8Array.of(7, 1)),
    (error) => error instanceof FuzzError && error.message.startsWith("one: 0701\n"),
  );
});
