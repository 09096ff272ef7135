import type { Millis, PathCounts } from "../types/index.ts";

/** Of the last so many the times are kept. */
const KEPT = 256;

/** Subflows that were lost and are there again, with the time from one to the other. */
export class Recoveries {
  readonly #times = new Float64Array(KEPT);
  #count = 0;

  note(time: Millis): void {
    this.#times[this.#count++ % KEPT] = time;
  }

  get counts(): PathCounts["recoveries"] {
    const times = this.#times.slice(0, Math.min(this.#count, KEPT)).sort();
    return { count: this.#count, median: times[times.length >> 1] ?? 0, longest: times.at(-1) ?? 0 };
  }
}
