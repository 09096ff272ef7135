import type { LatencyCounts, LatencyHistogram, Millis } from "../../types/index.ts";

/** Upper bounds, from what one command takes up to what somebody would feel. */
export const LATENCY_BOUNDS: readonly Millis[] = [
  ...[0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000],
];

/** Counts how long something took. */
export class Histogram {
  /** The last one: longer than every bound. */
  readonly #counts = new Array<number>(LATENCY_BOUNDS.length + 1).fill(0);
  #sum: Millis = 0;

  add(took: Millis): void {
    let at = 0;
    while (at < LATENCY_BOUNDS.length && took > LATENCY_BOUNDS[at]!) at++;
    this.#counts[at]!++;
    this.#sum += took;
  }

  get counts(): LatencyHistogram {
    return { bounds: LATENCY_BOUNDS, counts: [...this.#counts], sum: Math.round(this.#sum * 1000) / 1000 };
  }
}

/**
 * How long commands take: from the moment when JavaScript was told of the kernel's events until the kernel has what was decided, and the kernel's part
 * of it. Two readings of the clock stand before the command; counting comes after it. What went out ahead took no time here, and is not counted.
 */
export class Latency {
  readonly #now: () => Millis;
  readonly #decisions = new Histogram();
  readonly #commands = new Histogram();
  /** undefined: nothing of the kernel's is at hand, but a timer or a request. */
  #since: Millis | undefined;

  constructor(now: () => Millis) {
    this.#now = now;
  }

  /** Events are at hand. */
  begin(): void {
    this.#since = this.#now();
  }

  /** They are dealt with. */
  end(): void {
    this.#since = undefined;
  }

  /** Sends commands. @param send all of them in one system call, which returns when they are carried out */
  sent<R, A>(requests: A, send: (requests: A) => R): R {
    const before = this.#now();
    const answers = send(requests);
    const after = this.#now();
    this.#commands.add(after - before);
    if (this.#since !== undefined) this.#decisions.add(after - this.#since);
    return answers;
  }

  get counts(): LatencyCounts {
    return { decisions: this.#decisions.counts, commands: this.#commands.counts };
  }
}
