import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";

/** The value below which the share `q` of the sorted list lies. */
export function quantile(list: readonly number[], q: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** One row of results. */
export interface Samples {
  readonly name: string;
  readonly values: readonly number[];
}

/** Name, count, p50, p95, p99, and the ratio of p50 to that of `base` (the first row when absent). */
export function printTable(title: string, unit: string, rows: readonly Samples[], base = rows[0]?.name): void {
  const reference = rows.find(({ name }) => name === base);
  const middle = reference ? quantile(reference.values, 0.5) : Number.NaN;
  const width = Math.max(24, ...rows.map(({ name }) => name.length + 2));
  console.log(`\n${title} (${unit})`);
  console.log(
    `${"".padEnd(width)}${["n", "p50", "p95", "p99", "max", "ratio"].map((head) => head.padStart(10)).join("")}`,
  );
  for (const { name, values } of rows) {
    const figures = [0.5, 0.95, 0.99, 1].map((q) => format(quantile(values, q)));
    const cells = [String(values.length), ...figures, format(quantile(values, 0.5) / middle)];
    console.log(`${name.padEnd(width)}${cells.map((cell) => cell.padStart(10)).join("")}`);
  }
}

function format(value: number): string {
  if (!Number.isFinite(value)) return "-";
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}

/** Of a tick of proc_pid_stat(5): USER_HZ is 100 everywhere. Milliseconds. */
const TICK = 10;

/** Milliseconds of processor time that a process has had: user and system, fields 14 and 15 of proc_pid_stat(5). */
export function processorTime(pid: number): number {
  const [, rest = ""] = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ");
  const fields = rest.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK;
}

/** The commit that is measured; "unknown" outside of a checkout, unless the variable COMMIT says it. */
export function commit(): string {
  if (process.env.COMMIT) return process.env.COMMIT;
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return "unknown";
  }
}

/** Machine and commit: what a figure means nothing without. */
export function printMachine(): void {
  console.log(
    `${cpus().length} cores ${cpus()[0]?.model ?? ""}, Linux ${release()}, Node ${process.version}, commit ${commit()}`,
  );
}

/** Turns of the loop until `condition` holds; throws after `deadline` milliseconds. For waits too short to sleep. */
export async function spinUntil(condition: () => boolean, deadline: number, what: string): Promise<void> {
  const end = performance.now() + deadline;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
