/**
 * What the loss of one address, link or path does to a connection, for every number of addresses and every pair of managers:
 * `npm run bench -- matrix [words of the cells]`, as `npm run bench -- matrix 2x2 userspace link-down`; see docs/loss-matrix.md.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type Cell, type CellResult, nameOf, play } from "./_matrix-cell.ts";
import { LOSS_KINDS } from "./_matrix-losses.ts";
import { printMatrix } from "./_matrix-report.ts";
import { HOSTS, numbers, SETUPS, type Setup, type Size } from "./_matrix-world.ts";
import { commit, printMachine } from "./_support.ts";

const environment = (name: string, otherwise: string): string => process.env[name] ?? otherwise;
const SEED = Number(environment("SEED", "1"));
/** How many worlds at once: a cell mostly waits. */
const JOBS = Number(environment("JOBS", "10"));
const ROUNDS = Number(environment("ROUNDS", "1"));
const FILE = environment("RESULT", "dist/matrix.json");
const CONFIGS = { client: environment("CLIENT", ""), server: environment("SERVER", "") };

/** Words that a cell's name must have; "link-down|silent-drop" is either. */
const words = [...environment("MATRIX", "").split(" "), ...process.argv.slice(2)].filter((word) => word !== "");

function cellsOf(): Cell[] {
  const cells: Cell[] = [];
  for (const size of sizes()) {
    for (const setup of Object.keys(SETUPS) as Setup[]) {
      for (const kind of LOSS_KINDS) {
        for (const host of HOSTS) {
          const count = host === "client" ? size.local : size.remote;
          for (const n of numbers(count)) cells.push({ size, setup, target: { kind, host, n } });
        }
      }
    }
  }
  return cells.filter(isWanted);
}

function sizes(): Size[] {
  const all: Size[] = [];
  for (const family of [4, 6] as const) {
    for (const local of numbers(3)) for (const remote of numbers(3)) all.push({ local, remote, family });
  }
  return all;
}

/** IPv6 and other addresses than the first are played where a word asks for them: "v6", "2", "any". */
function isWanted(cell: Cell): boolean {
  const name = nameOf(cell).split(" ");
  const { family } = cell.size;
  if (family === 6 && !words.includes("v6")) return false;
  const nth = String(cell.target.n);
  const asked = words.includes("any") || words.includes(nth);
  if (!asked && nth !== "1") return false;
  const rest = words.filter((word) => !["any", "v6", "1", "2", "3"].includes(word));
  const numbersAsked = words.filter((word) => /^[123]$/.test(word));
  if (numbersAsked.length > 0 && !numbersAsked.includes(nth)) return false;
  return rest.every((word) => word.split("|").some((choice) => name.includes(choice)));
}

async function playAll(cells: readonly Cell[]): Promise<CellResult[]> {
  const results: CellResult[] = [];
  const left = Array.from({ length: ROUNDS }, (_, round) => cells.map((cell) => ({ cell, seed: SEED + round }))).flat();
  const total = left.length;
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const { cell, seed } = next;
      const result = await play(cell, seed, CONFIGS).catch((error: unknown) => broken(cell, seed, error));
      results.push(result);
      const verdict = result.faults.length === 0 ? "ok" : result.faults.join(" ");
      const { covered, stall, restored, subflows } = result;
      console.log(
        `${String(results.length).padStart(4)}/${total} ${result.cell.padEnd(44)} ${verdict.padEnd(22)} cover ${covered} stall ${stall} restore ${restored} subflows ${subflows.join(",")}`,
      );
    }
  };
  await Promise.all(Array.from({ length: JOBS }, work));
  return results.sort((a, b) => a.cell.localeCompare(b.cell) || a.seed - b.seed);
}

/** A cell that could not be played at all is a failure too: of the world, or of a daemon that did not start. */
function broken(cell: Cell, seed: number, error: unknown): CellResult {
  const never = { covered: -1, stall: -1, restored: -1, lag: 0, intact: false, pathLeft: true };
  const logs = { error: error instanceof Error ? `${error.stack}` : String(error) };
  return { cell: nameOf(cell), seed, ...never, subflows: [0, 0, 0], history: [], faults: ["error"], logs };
}

const cells = cellsOf();
if (cells.length === 0) {
  console.error(`no cell has all of the words: ${words.join(" ")}`);
  process.exit(255);
}
const reports = environment("REPORT", "")
  .split(" ")
  .filter((file) => file !== "");
if (reports.length > 0) {
  printMatrix(reports.flatMap((file) => (JSON.parse(readFileSync(file, "utf8")) as { results: CellResult[] }).results));
  process.exit(0);
}
printMachine();
const start = performance.now();
const results = await playAll(cells);
printMatrix(results);
mkdirSync(dirname(FILE), { recursive: true });
writeFileSync(FILE, `${JSON.stringify({ commit: commit(), seed: SEED, results }, undefined, 1)}\n`);
const failed = results.filter(({ faults }) => faults.length > 0).length;
console.log(
  `\n${results.length - failed} of ${results.length} cells pass, ${((performance.now() - start) / 1000).toFixed(0)} s; every cell in ${FILE}`,
);
