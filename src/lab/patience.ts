import type { Millis } from "../types/index.ts";

/** What making a network namespace takes on an ordinary machine, its processes included. */
const USUAL: Millis = 50;
/** A machine that is slower than this is no machine to wait for. */
const SLOWEST = 30;

let slowness = 1;

/** Tells how long making a namespace took here: on an emulated or crowded machine everything else takes longer too. */
export function noteSlowness(took: Millis): void {
  slowness = Math.min(SLOWEST, Math.max(slowness, took / USUAL));
}

/**
 * A deadline for an ordinary machine → one for this machine: as many times longer as it was seen to be slower. Whole
 * milliseconds: not every timer takes others.
 */
export function patience(deadline: Millis): Millis {
  return Math.ceil(deadline * slowness);
}
