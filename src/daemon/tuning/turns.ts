import type { Millis } from "../../types/index.ts";

/** Something done again and again by a daemon, which says each time when it is due next, or that there is nothing to do any more. */
export class Turns implements Disposable {
  readonly #turn: () => Millis | undefined;
  readonly #afterFailure: Millis;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  /**
   * @param turn @returns when the next is due; undefined: not before somebody begins again
   * @param afterFailure how long the next waits where one threw: it costs itself, not those after it
   */
  constructor(turn: () => Millis | undefined, afterFailure: Millis) {
    this.#turn = turn;
    this.#afterFailure = afterFailure;
  }

  [Symbol.dispose](): void {
    // Also where a turn itself ends all.
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Whether one is due. */
  get isRunning(): boolean {
    return this.#timer !== undefined;
  }

  /** The first is due after this; nothing where one is due already. */
  begin(delay: Millis): void {
    if (this.#isOver) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      let next: Millis | undefined = this.#afterFailure;
      try {
        next = this.#turn();
      } finally {
        if (next !== undefined) this.begin(next);
      }
    }, delay);
  }
}
