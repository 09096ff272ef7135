import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { rerunRootless } from "../../lab/index.ts";
import { policies } from "../../policies/index.ts";
import type { Context } from "../command.ts";
import { runDemo } from "../demo/scenario.ts";
import type { DemoResult } from "../demo/state.ts";
import { EXIT, missingArgument, wrongArgument } from "../failure.ts";
import { type Json, machine, renderJson } from "../json.ts";
import { parseOptions } from "../options.ts";
import { formatBytes } from "../units.ts";

/** `policy try`: the demo's download with a policy and with `resilient`, side by side. */
export async function run(context: Context): Promise<number> {
  const { global, streams } = context;
  const [word] = parseOptions(context).words;
  if (word === undefined) throw missingArgument("NAME|FILE");
  const mine = configOf(word);
  const elsewhere = await rerunRootless();
  if (elsewhere !== undefined) return elsewhere;
  const silent = { event: () => {}, sample: () => {} };
  const results: (readonly [string, DemoResult])[] = [];
  for (const [name, config] of [
    [word, mine],
    ["resilient", configOf("resilient")],
  ] as const) {
    if (!global.json && streams.isTerminal) streams.err(`a download with ${name}: 20 s\n`);
    results.push([name, await runDemo(silent, "subflow", config)]);
  }
  if (global.json) streams.out(renderJson(machine(results.map(resultJson)) as Json, global.pretty));
  else streams.out(table(results));
  return results.every(([, { isIntact }]) => isIntact) ? EXIT.success : EXIT.failure;
}

function configOf(word: string): string {
  if (policies.some(({ name }) => name === word)) return `path_manager: userspace\npolicy: ${word}\n`;
  const file = resolve(word);
  if (!existsSync(file)) throw wrongArgument(word, "it is neither a policy nor a file");
  return `path_manager: userspace\nplugins: { mine: ${JSON.stringify(file)} }\npolicy: plugin:mine\n`;
}

/** A column a policy, a row a figure. */
function table(results: readonly (readonly [string, DemoResult])[]): string {
  const millis = (value: number | undefined): string => (value === undefined ? "-" : `${Math.round(value)} ms`);
  const [first] = results;
  const rows: [string, ...string[]][] = [
    ["", ...results.map(([name]) => name)],
    ["30 MB in", ...results.map(([, { duration }]) => `${(duration / 1000).toFixed(1)} s`)],
    ...(first?.[1].stalls ?? []).map(({ phase }, index): [string, ...string[]] => [
      `longest stall, ${phase}`,
      ...results.map(([, { stalls }]) => millis(stalls[index]?.longest)),
    ]),
    ...(first?.[1].state.paths ?? []).map(({ name }, index): [string, ...string[]] => [
      `over ${name}`,
      ...results.map(([, { state }]) => formatBytes(state.paths[index]?.bytes ?? 0)),
    ]),
    ["wifi used again after", ...results.map(([, { delays }]) => millis(delays.back))],
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))))
    .map((cells) => `${cells.join("  ").trimEnd()}\n`)
    .join("");
}

function resultJson([name, { duration, isIntact, stalls, delays, state }]: readonly [string, DemoResult]): object {
  const bytes = state.paths.map((path) => ({ name: path.name, bytes: path.bytes }));
  return { policy: name, isIntact, duration, stalls, paths: bytes, delays };
}
