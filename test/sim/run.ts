/** Runs the simulation for long: `node dist/test/sim/run.js --seed 1 --runs 100 --steps 10000`. */
import { parseArgs } from "node:util";
import { policies } from "../../src/policies/index.ts";
import { SimulationError, simulate } from "../../src/sim/index.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "1" },
    steps: { type: "string", default: "10000" },
  },
});

const first = Number(values.seed);
let events = 0;
const begun = performance.now();
for (let seed = first; seed < first + Number(values.runs); seed++) {
  try {
    events += simulate({ seed, steps: Number(values.steps), policies }).events;
  } catch (error) {
    if (!(error instanceof SimulationError)) throw error;
    console.error(error.transcript.slice(-60).join("\n"));
    console.error(`\n${error.message}`);
    process.exit(1);
  }
}
const seconds = (performance.now() - begun) / 1000;
console.log(`${values.runs} runs, ${events} events, no law broken, ${Math.round(events / seconds)} events/s`);
