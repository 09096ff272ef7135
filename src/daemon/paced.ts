import type { Millis } from "../types/index.ts";

/** Something that is asked for by others, and done at once, but not twice within a gap: what is asked for meanwhile is done at its end. */
export class Paced implements Disposable {
  readonly #gap: Millis;
  readonly #now: () => Millis;
  readonly #run: () => void;
  #timer: NodeJS.Timeout | undefined;
  #last = Number.NEGATIVE_INFINITY;

  constructor(gap: Millis, now: () => Millis, run: () => void) {
    this.#gap = gap;
    this.#now = now;
    this.#run = run;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  ask(): void {
    if (this.#timer) return;
    const wait = Math.max(0, this.#last + this.#gap - this.#now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#last = this.#now();
      this.#run();
    }, wait);
  }
}
