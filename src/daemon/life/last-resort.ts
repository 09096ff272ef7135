import type { Millis } from "../../types/index.ts";
import { SubflowError } from "../../types/index.ts";

/** The daemon ended because of a fault of its own: EX_SOFTWARE of sysexits.h. */
export const EXIT_FAULT = 70;
/** So many failures of the world within so long are a world in which nothing works. */
const FAILURES_MAX = 20;
const FAILURES_WINDOW: Millis = 60_000;

/** What is done about errors that nobody caught. */
export interface Resort {
  /** A system call failed: everything is to be compared anew, soon. */
  readonly onFailure: (error: Error) => void;
  /** A fault of ours: what can be put back is to be put back. The process ends when this returns. */
  readonly onFault: (error: unknown) => void;
  readonly now: () => Millis;
}

/** A system call that failed, in our words or in Node's: the state in memory is whole, and the next comparison mends the rest. */
export function isOfTheWorld(error: unknown): error is Error {
  if (error instanceof SubflowError) return error.code !== "CODEC";
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";
}

/**
 * The end of the line for errors: each turn of the loop (a batch of events, a timer, a signal) is whole in itself, so a system
 * call that failed costs that turn only, and everything is compared anew. Anything else is a fault of ours and ends the daemon, with everything
 * put back. Covers rejected promises too: Node raises them here.
 */
export function installLastResort({ onFailure, onFault, now }: Resort): Disposable {
  let failures: Millis[] = [];
  let isEnding = false;
  const listener = (error: unknown): void => {
    if (isEnding) return;
    failures = [...failures.filter((at) => now() - at < FAILURES_WINDOW), now()];
    if (isOfTheWorld(error) && failures.length <= FAILURES_MAX) return onFailure(error);
    isEnding = true;
    try {
      onFault(error);
    } finally {
      process.exit(EXIT_FAULT);
    }
  };
  process.on("uncaughtException", listener);
  return { [Symbol.dispose]: () => void process.off("uncaughtException", listener) };
}
