import type { Token } from "../../types/index.ts";

/** Connections that are gone and remembered: some seconds of 5,000 a second. Whoever comes later begins anew. */
const KEPT_MAX = 32_768;

interface GoneConnection {
  readonly number: number;
  readonly token: Token;
  /** Whose it was; undefined: nobody looked in time. */
  readonly uid: number | undefined;
}

/** Connections that were told of and are gone, the last ones. */
export class Gone {
  #kept: GoneConnection[] = [];
  readonly #uids = new Map<Token, number>();
  #knownFrom = 0;

  /** Whoever knows everything up to this number can be told what is gone since. */
  get knownFrom(): number {
    return this.#knownFrom;
  }

  /** @param connection its number is larger than any before */
  add(connection: GoneConnection): void {
    this.#kept.push(connection);
    if (connection.uid !== undefined) this.#uids.set(connection.token, connection.uid);
    // Seldom, for it moves all of them.
    if (this.#kept.length <= 2 * KEPT_MAX) return;
    for (const { number, token } of this.#kept.splice(0, KEPT_MAX)) {
      this.#uids.delete(token);
      this.#knownFrom = number;
    }
  }

  /** @param number up to which nothing is known any more */
  clear(number: number): void {
    this.#kept = [];
    this.#uids.clear();
    this.#knownFrom = number;
  }

  between(after: number, upTo: number): GoneConnection[] {
    const found: GoneConnection[] = [];
    for (let index = this.#kept.length - 1; index >= 0; index--) {
      const each = this.#kept[index]!;
      if (each.number <= after) break;
      if (each.number <= upTo) found.push(each);
    }
    return found.reverse();
  }

  uidOf(token: Token): number | undefined {
    return this.#uids.get(token);
  }
}
