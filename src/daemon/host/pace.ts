import type { Millis } from "../../types/index.ts";

/** After work that is felt, the next waits so many times as long as it took: at most a twentieth of the time is spent so. */
export const REST = 20;

/** Work that is asked for by others, of which nobody knows beforehand what it costs: the first time at once, then paced by that. */
export class Pace implements Disposable {
  readonly #now: () => Millis;
  readonly #run: () => void;
  #timer: NodeJS.Timeout | undefined;
  #notBefore: Millis = Number.NEGATIVE_INFINITY;

  constructor(now: () => Millis, run: () => void) {
    this.#now = now;
    this.#run = run;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  ask(): void {
    if (this.#timer) return;
    const wait = this.#notBefore - this.#now();
    if (wait <= 0) this.#work();
    else this.#timer = setTimeout(() => this.#work(), wait);
  }

  #work(): void {
    this.#timer = undefined;
    const began = this.#now();
    try {
      this.#run();
    } finally {
      const ended = this.#now();
      this.#notBefore = ended + REST * (ended - began);
    }
  }
}
