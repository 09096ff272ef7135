/** The process of `policy test`: imports a module as it is, which the bundle of the command cannot. Its argument: the module. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Policy } from "../../engine/index.ts";
import { loadPolicy } from "../../plugin/index.ts";
import { LAWS, LawBroken, Stage } from "../../testing/index.ts";

/** What a file of tests beside the module exports as default is called with. */
interface Tools {
  readonly policy: Policy;
  readonly Stage: typeof Stage;
  readonly assert: typeof assert;
  readonly test: (name: string, run: () => void | Promise<void>) => void;
}

/** A module's tests stand beside it: mine.mjs, mine.test.mjs. */
function testsOf(file: string): string | undefined {
  const tests = file.replace(/\.(\w+)$/, ".test.$1");
  return tests !== file && existsSync(tests) ? tests : undefined;
}

/** Of the simulation: some seconds. */
const RUNS = 5;

let failed = 0;

async function attempt(name: string, run: () => void | Promise<void>): Promise<void> {
  try {
    await run();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed++;
    console.log(`not ok  ${name}`);
    const text = error instanceof Error ? error.message : String(error);
    for (const line of text.split("\n")) console.log(`        ${line}`);
    if (error instanceof LawBroken) for (const line of error.transcript.slice(-10)) console.log(`          ${line}`);
  }
}

try {
  const file = resolve(process.argv[2] ?? "");
  const policy = await loadPolicy(file);
  for (const { says, check } of LAWS) await attempt(says, () => check(policy, { runs: RUNS, severalPerPair: true }));
  const tests = testsOf(file);
  if (tests !== undefined) {
    const own: Parameters<Tools["test"]>[] = [];
    const { default: begin } = (await import(pathToFileURL(tests).href)) as { default: (tools: Tools) => void };
    begin({ policy, Stage, assert, test: (name, run) => void own.push([name, run]) });
    for (const [name, run] of own) await attempt(name, run);
  }
} catch (error) {
  failed++;
  console.error(`Error: ${error instanceof Error ? error.message : error}`);
}
process.exit(failed === 0 ? 0 : 1);
