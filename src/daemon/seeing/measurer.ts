import type { Millis, Token } from "../../types/index.ts";

/** Connections of one look: a millisecond, with two subflows each. */
const SLICE = 64;
/** After a look, so many times as long as it took nothing is looked at: nobody's wish to see takes more than a tenth of a processor. */
const REST = 10;
const REST_MIN: Millis = 5;
/** A reader that has not asked for so many of its paces, and this long, does not look any more. */
const PACES = 3;

export interface MeasurerOptions {
  /** All that there are. */
  readonly tokens: () => Iterable<Token>;
  /** Looks at these. */
  readonly look: (tokens: readonly Token[]) => void;
  readonly now: () => Millis;
  /** A reader that waits for an answer asks again after so long at most. */
  readonly waits: Millis;
}

/**
 * Measures every connection at the pace of the most demanding reader, however many readers there are, slice by slice, so that no
 * event waits for long; none while nobody asks. With thousands of connections the pace is what the rests leave.
 */
export class Measurer implements Disposable {
  readonly #options: MeasurerOptions;
  /** Pace → until when somebody wants it. */
  readonly #wanted = new Map<Millis, Millis>();
  #left: Token[] = [];
  #sweptAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MeasurerOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wanted.clear();
  }

  /** Somebody asks for that pace, now. */
  want(pace: Millis): void {
    const { now, waits } = this.#options;
    const isFaster = pace < this.#pace();
    this.#wanted.set(pace, now() + PACES * pace + waits);
    if (this.#timer === undefined || isFaster) this.#arm();
  }

  /** The fastest that somebody wants; Infinity: nobody wants any. */
  #pace(): Millis {
    const at = this.#options.now();
    let pace = Number.POSITIVE_INFINITY;
    for (const [each, until] of this.#wanted) {
      if (until < at) this.#wanted.delete(each);
      else pace = Math.min(pace, each);
    }
    return pace;
  }

  #arm(rest: Millis = 0): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const pace = this.#pace();
    if (pace === Number.POSITIVE_INFINITY) return;
    const due = this.#left.length > 0 ? rest : Math.max(rest, this.#sweptAt + pace - this.#options.now());
    this.#timer = setTimeout(() => this.#turn(), due).unref();
  }

  #turn(): void {
    const { tokens, look, now } = this.#options;
    const began = now();
    if (this.#left.length === 0) {
      this.#left = [...tokens()].reverse();
      this.#sweptAt = began;
    }
    const slice = this.#left.splice(-SLICE);
    try {
      if (slice.length > 0) look(slice);
    } finally {
      this.#arm(Math.max(REST_MIN, REST * (now() - began)));
    }
  }
}
