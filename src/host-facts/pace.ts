import type { Millis } from "../types/index.ts";

export interface PaceOptions {
  readonly now: () => Millis;
  readonly run: () => void;
  /** Between the beginnings of two runs, at least. */
  readonly gap?: Millis;
  /** After a run, at least so many times as long as it took: for work of which nobody knows beforehand what it costs. */
  readonly rest?: number;
}

/**
 * Work that others ask for, done in a turn of its own: the first time at once, then as seldom as its pace wants. What is asked for
 * meanwhile is done once, at the end of the wait.
 */
export class Pace implements Disposable {
  readonly #options: PaceOptions;
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #notBefore: Millis = Number.NEGATIVE_INFINITY;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
  }

  ask(): void {
    if (this.#immediate || this.#timer) return;
    const wait = this.#notBefore - this.#options.now();
    if (wait > 0) this.#timer = setTimeout(() => this.#work(), wait);
    else this.#immediate = setImmediate(() => this.#work());
  }

  #work(): void {
    const { now, run, gap = 0, rest = 0 } = this.#options;
    this.#immediate = this.#timer = undefined;
    const began = now();
    try {
      run();
    } finally {
      const ended = now();
      this.#notBefore = Math.max(began + gap, ended + rest * (ended - began));
    }
  }
}
