import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const SUBFLOW = [process.execPath, join(import.meta.dirname, "..", "..", "bin", "subflow")] as const;
const CLIENT = join(import.meta.dirname, "..", "src", "client", "index.js");

/** A command of ours. */
export const subflow = (...words: string[]): readonly string[] => [...SUBFLOW, ...words];

/** `top` on a terminal. */
export const TOP: readonly string[] = [
  "script",
  "-qfec",
  `stty cols 100 rows 40; exec ${subflow("top").join(" ")}`,
  "/dev/null",
];

export const MONITOR = subflow("monitor", "--human");

/** `metrics` on its socket in that directory. */
export const metrics = (directory: string): readonly string[] =>
  subflow("metrics", "--socket", join(directory, "metrics.sock"));

/** A program that asks for figures so often, milliseconds. */
export function asking(pace: number): readonly string[] {
  const script = `for await (const _ of (await import(${JSON.stringify(CLIENT)})).changes({ pace: ${pace} }));`;
  return [process.execPath, "--input-type=module", "-e", script];
}

/** The process that does the work: of script(1) its child. */
export function worker({ pid = 0 }: ChildProcess): number {
  const below = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
  return below === "" ? pid : Number(below.split(" ")[0]);
}

/** VmRSS of proc_pid_status(5), MiB. */
export function memory(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) / 1024;
}
