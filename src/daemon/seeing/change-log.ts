import type { Token } from "../../types/index.ts";

/** Lines that are out of date are taken out when there are so many more of them than of the others. */
const STALE_MAX = 1024;

interface Line {
  readonly number: number;
  readonly token: Token;
}

/** What is new after a number, in order. */
export interface Since {
  readonly lines: readonly Line[];
  /** Nothing up to this number is missing; Infinity: nothing is. */
  readonly upTo: number;
}

/**
 * Which connection changed last at which number: for each only the last change counts, so that whoever comes from an early number reads each
 * connection once, however often it changed. As large as there are connections.
 */
export class ChangeLog {
  #lines: Line[] = [];
  readonly #latest = new Map<Token, number>();

  /** @param number larger than any before */
  touch(token: Token, number: number): void {
    this.#latest.set(token, number);
    this.#lines.push({ number, token });
    if (this.#lines.length > 2 * this.#latest.size + STALE_MAX) this.#lines = this.#lines.filter((l) => this.#isNew(l));
  }

  drop(token: Token): void {
    this.#latest.delete(token);
  }

  clear(): void {
    this.#lines = [];
    this.#latest.clear();
  }

  /** At most `max` connections that changed after a number. */
  since(after: number, max: number): Since {
    const lines: Line[] = [];
    for (let index = this.#firstAfter(after); index < this.#lines.length; index++) {
      const line = this.#lines[index]!;
      if (!this.#isNew(line)) continue;
      if (lines.length === max) return { lines, upTo: lines.at(-1)?.number ?? after };
      lines.push(line);
    }
    return { lines, upTo: Number.POSITIVE_INFINITY };
  }

  /** When a connection changed last; 0: it is not here. */
  numberOf(token: Token): number {
    return this.#latest.get(token) ?? 0;
  }

  #isNew({ token, number }: Line): boolean {
    return this.#latest.get(token) === number;
  }

  #firstAfter(after: number): number {
    let [low, high] = [0, this.#lines.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#lines[middle]!.number <= after) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
