import type { CellResult } from "./_matrix-cell.ts";
import { SETUPS } from "./_matrix-world.ts";
import { quantile } from "./_support.ts";

/** "2x2 userspace link-down client" → its pieces. */
function pieces({ cell }: CellResult): { size: string; setup: string; loss: string } {
  const words = cell.split(" ");
  const at = words.findIndex((word) => word in SETUPS);
  return { size: words.slice(0, at).join(" "), setup: words[at] ?? "", loss: words.slice(at + 1).join(" ") };
}

/** Markdown: how many cells pass by size, then by kind of loss, a column each setup; then what the failures were. */
export function printMatrix(results: readonly CellResult[]): void {
  for (const [title, key] of [
    ["addresses", "size"],
    ["loss", "loss"],
  ] as const) {
    printTable(title, results, (result) => pieces(result)[key]);
  }
  printFigures(results);
  printFaults(results);
}

function printTable(title: string, results: readonly CellResult[], rowOf: (result: CellResult) => string): void {
  const setups = Object.keys(SETUPS).filter((setup) => results.some((result) => pieces(result).setup === setup));
  const rows = [...new Set(results.map(rowOf))];
  console.log(`\n| ${title} | ${setups.join(" | ")} |\n| --- |${" --- |".repeat(setups.length)}`);
  for (const row of [...rows, "all"]) {
    const counts = setups.map((setup) => {
      const cells = results.filter(
        (result) => pieces(result).setup === setup && (row === "all" || rowOf(result) === row),
      );
      const passed = cells.filter(({ faults }) => faults.length === 0).length;
      return cells.length === 0 ? "" : `${passed} of ${cells.length}`;
    });
    console.log(`| ${row} | ${counts.join(" | ")} |`);
  }
}

/** Beside the in-kernel path manager alone: the stall where a path was left, and the time until the cover was whole. */
function printFigures(results: readonly CellResult[]): void {
  const never = (value: number): number => (value < 0 ? Number.POSITIVE_INFINITY : value);
  const of = (setup: string, figure: "stall" | "restored"): number[] =>
    results
      .filter((result) => pieces(result).setup === setup && (figure === "restored" || result.pathLeft))
      .map((result) => never(result[figure]));
  const text = (value: number): string => (Number.isFinite(value) ? value.toFixed(0) : "never");
  const ratio = (value: number, base: number): string =>
    Number.isFinite(value) && Number.isFinite(base) && base > 0 ? ` (${(value / base).toFixed(2)})` : "";
  console.log(
    "\n| ms (ratio to bare) | longest stall p50 | p95 | max | restored p50 | p95 | max |\n| --- | --- | --- | --- | --- | --- | --- |",
  );
  for (const setup of Object.keys(SETUPS)) {
    if (!results.some((result) => pieces(result).setup === setup)) continue;
    const columns = (["stall", "restored"] as const).flatMap((figure) =>
      [0.5, 0.95, 1].map((q) => {
        const value = quantile(of(setup, figure), q);
        return `${text(value)}${ratio(value, quantile(of("bare", figure), q))}`;
      }),
    );
    console.log(`| ${setup} | ${columns.join(" | ")} |`);
  }
}

function printFaults(results: readonly CellResult[]): void {
  const failed = results.filter(({ faults }) => faults.length > 0);
  if (failed.length === 0) return;
  console.log("\n| cell | seed | fails by | stall | subflows before, during, after | paths from the loss on |");
  console.log("| --- | --- | --- | --- | --- | --- |");
  for (const { cell, seed, faults, stall, subflows, history, logs } of failed) {
    const story = history.length > 0 ? history.join("; ") : (logs?.error?.split("\n")[0] ?? "");
    console.log(`| ${cell} | ${seed} | ${faults.join(", ")} | ${stall} | ${subflows.join(", ")} | ${story} |`);
  }
}
