import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { type HistoryAnswer, type HistoryQuery, readHistory } from "./read.ts";

/** Of this thread alone (on Linux a priority is a thread's): the daemon's own goes first. */
const NICE = 10;

try {
  setPriority(NICE);
} catch {
  // A unit's filter of system calls may refuse it; then it competes.
}
const start = performance.now();
const told = readHistory(workerData as HistoryQuery);
parentPort?.postMessage({ told, took: performance.now() - start } satisfies HistoryAnswer);
