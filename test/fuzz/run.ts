/**
 * Fuzzes, and keeps what reached something new in test/fuzz/corpus: `node dist/test/fuzz/run.js [TARGET...] [--seconds 60] [--messages N] [--seed N] [--blind]`,
 * with `--blind` faster, and nothing is kept;
 * `npm run soak -- decoders` calls it. An input on which a target fails is printed, in hexadecimal, and ends it with status 1.
 */
import { parseArgs } from "node:util";
import { readCorpus, writeCorpus } from "./corpus.ts";
import { Coverage } from "./coverage.ts";
import { FuzzError, Fuzzer } from "./fuzzer.ts";
import { TARGETS } from "./targets.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "60" },
    messages: { type: "string" },
    seed: { type: "string" },
    blind: { type: "boolean" },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(TARGETS);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const enough = Number(values.messages ?? Number.POSITIVE_INFINITY);

let all = 0;
for (const name of names) {
  const target = TARGETS[name];
  if (!target) {
    console.error(`"${name}" is none of: ${Object.keys(TARGETS).join(", ")}`);
    process.exit(255);
  }
  const kept = readCorpus(name);
  using coverage = values.blind ? undefined : new Coverage((url) => url.includes("/dist/src/"));
  const fuzzer = new Fuzzer(name, target, { seed, coverage });
  const begin = performance.now();
  try {
    fuzzer.begin(kept);
    const before = fuzzer.result.reached;
    while (performance.now() - begin < Number(values.seconds) * 1000 && fuzzer.result.messages < enough) fuzzer.batch();
    const { inputs, messages, corpus, reached } = fuzzer.result;
    all += messages;
    const seconds = Math.round((performance.now() - begin) / 1000);
    console.log(
      `${name.padEnd(10)}${inputs} inputs, ${messages} messages in ${seconds} s; ${reached} characters of code reached (${before} at first), ${corpus.length} inputs kept (${kept.length} before)`,
    );
    if (!values.blind) writeCorpus(name, corpus);
  } catch (error) {
    if (!(error instanceof FuzzError)) throw error;
    console.error(`seed ${seed}, ${error.message}`);
    process.exit(1);
  }
}
console.log(`${all} messages in all, seed ${seed}`);
