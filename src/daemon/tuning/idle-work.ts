import type { Millis } from "../../types/index.ts";

/** Work of one turn: an event that comes meanwhile waits no longer. */
const SLICE: Millis = 3;
/** After a turn in which something was served, the next slice waits: more may come. */
const PAUSE: Millis = 20;
/** Work that takes longer in all is for a machine that has better things to do. */
const TOTAL_MAX: Millis = 20_000;
/** A step that takes so long cannot be done between events. */
const STEP_MAX: Millis = 100;

export interface IdleWorkOptions {
  /** Each step is short. */
  readonly steps: Iterator<unknown>;
  /** Grows when something was served. */
  readonly served: () => number;
  readonly now: () => Millis;
  /** @param isWhole every step was done; false: it was given up */
  readonly onEnd: (isWhole: boolean) => void;
}

/** Does what may wait, in slices between which the loop serves, with a bound in time. */
export class IdleWork implements Disposable {
  readonly #options: IdleWorkOptions;
  readonly #start: Millis;
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #served: number;

  constructor(options: IdleWorkOptions) {
    this.#options = options;
    this.#start = options.now();
    this.#served = options.served();
    this.#immediate = setImmediate(() => this.#slice());
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    this.#options.steps.return?.();
  }

  #slice(): void {
    const { steps, now, served } = this.#options;
    if (served() !== this.#served) {
      this.#served = served();
      this.#timer = setTimeout(() => this.#slice(), PAUSE);
      return;
    }
    for (const start = now(), end = start + SLICE; ; ) {
      const before = now();
      if (steps.next().done) return this.#end(true);
      const after = now();
      if (after - before > STEP_MAX || after - this.#start > TOTAL_MAX) return this.#end(false);
      if (after >= end) break;
    }
    this.#immediate = setImmediate(() => this.#slice());
  }

  #end(isWhole: boolean): void {
    this.#options.steps.return?.();
    this.#options.onEnd(isWhole);
  }
}
