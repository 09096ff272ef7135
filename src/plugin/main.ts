/** The process in which a policy of somebody else's runs; the daemon talks to it over standard input and output. Its argument: the module. */
import { createInterface } from "node:readline";
import { loadPolicy } from "./load.ts";
import { Runner } from "./runner.ts";

const say = (answer: object): void => void process.stdout.write(`${JSON.stringify(answer)}\n`);

// What the module prints is for people: standard output is for answers.
for (const method of ["log", "info", "debug"] as const) console[method] = console.error;
// A line of who was here before may be torn.
process.stdout.write("\n");
try {
  const runner = new Runner(await loadPolicy(process.argv[2] ?? ""));
  say(runner.hello);
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = runner.answer(line);
    if (answer) say(answer);
  }
} catch (error) {
  say({ type: "useless", fault: error instanceof Error ? error.message : String(error) });
}
