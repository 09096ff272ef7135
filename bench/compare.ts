/**
 * What a client's connection goes through in what happens to hosts with several links, by who manages its paths: the kernel alone, mptcpd, Subflow.
 * `npm run bench -- compare [rounds] [words of scenes or columns]`, as `npm run bench -- compare 3 lossy "in-kernel|resilient"`; default: one
 * round of all, some twelve minutes. Two worlds at a time (`JOBS=`): a cell mostly waits.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { dirname } from "node:path";
import { COLUMNS, type Column, type Outcome, play } from "./_compare-cell.ts";
import { SCENES } from "./_compare-scenes.ts";
import { commit, printMachine, quantile } from "./_support.ts";

const [rounds = "1", ...words] = process.argv.slice(2);
const JOBS = Number(process.env.JOBS ?? 2);
const FILE = process.env.RESULT ?? "dist/compare.json";
/** Files of earlier runs: only printed, as one. */
const REPORT = (process.env.REPORT ?? "").split(" ").filter((file) => file !== "");

interface Cell {
  readonly scene: string;
  readonly column: Column;
}
type Result = Cell & { readonly outcome: Outcome };

function isWanted({ scene, column }: Cell): boolean {
  return words.every((word) => word.split("|").some((choice) => `${scene} ${column}`.includes(choice)));
}

const cells = Object.keys(SCENES)
  .flatMap((scene) => (Object.keys(COLUMNS) as Column[]).map((column): Cell => ({ scene, column })))
  .filter(isWanted);

/** After each cell: who is interrupted has what was played. */
function save(results: readonly Result[]): void {
  mkdirSync(dirname(FILE), { recursive: true });
  writeFileSync(FILE, `${JSON.stringify({ commit: commit(), results }, undefined, 1)}\n`);
}

async function playAll(): Promise<Result[]> {
  const left = Array.from({ length: Number(rounds) }, () => cells).flat();
  const results: Result[] = [];
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) {
      const scene = SCENES[next.scene];
      if (!scene) continue;
      const outcome = await play(scene, next.column).catch((error: unknown) => {
        console.log(`${next?.scene}, ${next?.column}: not played: ${error instanceof Error ? error.message : error}`);
      });
      if (!outcome) continue;
      results.push({ ...next, outcome });
      save(results);
      console.log(`${next.scene}, ${next.column}: ${JSON.stringify(outcome)}`);
    }
  };
  await Promise.all(Array.from({ length: JOBS }, work));
  return results;
}

const seconds = (time: number): string => `${(time / 1000).toFixed(1)} s`;

/** "0.4 s; 3.1 + 8.9 MB; 2": stalls, bytes by path, subflows at the end, of the round with the median stall. */
function cellText(results: readonly Result[], { scene, column }: Cell): string {
  const outcomes = results.filter((each) => each.scene === scene && each.column === column).map((each) => each.outcome);
  if (outcomes.length === 0) return "-";
  const lost = quantile(
    outcomes.map((each) => each.lost),
    0.5,
  );
  const one = outcomes.find((each) => each.lost === lost) ?? outcomes[0];
  if (!one) return "-";
  const worst = Math.max(...outcomes.map((each) => each.lost));
  const range = outcomes.length > 1 && worst >= lost + 100 ? ` (to ${seconds(worst)})` : "";
  const isBroken = outcomes.some((each) => !each.isIntact);
  const megabytes = one.bytes.map((bytes) => (bytes / 1e6).toFixed(1)).join(" + ");
  return `${seconds(lost)}${range}${isBroken ? ", **hangs**" : ""}; ${megabytes} MB; ${one.subflows}`;
}

function print(results: readonly Result[]): void {
  const columns = (Object.keys(COLUMNS) as Column[]).filter((column) => cells.some((cell) => cell.column === column));
  console.log(`\n| | ${columns.join(" | ")} |\n| --- |${" --- |".repeat(columns.length)}`);
  for (const scene of new Set(cells.map((cell) => cell.scene)))
    console.log(`| ${scene} | ${columns.map((column) => cellText(results, { scene, column })).join(" | ")} |`);
}

if (cells.length === 0) {
  console.error(`nothing has all of the words: ${words.join(" ")}`);
  process.exit(255);
}
if (REPORT.length > 0) {
  print(REPORT.flatMap((file) => (JSON.parse(readFileSync(file, "utf8")) as { results: Result[] }).results));
} else {
  printMachine();
  const load = (): string =>
    loadavg()
      .map((value) => value.toFixed(1))
      .join(" ");
  console.log(`load before ${load()}`);
  const results = await playAll();
  console.log(`load after ${load()}`);
  print(results);
}
