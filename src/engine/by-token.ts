import type { Token } from "../types/index.ts";

/**
 * A map by token. A token is an u32; as s32 it is always one of V8's small integers, where half of all tokens would be numbers on the
 * heap, for whose comparison each look-up in a large map waits for memory once more.
 */
export class ByToken<T> {
  readonly #map = new Map<number, T>();

  get size(): number {
    return this.#map.size;
  }

  get(token: Token): T | undefined {
    return this.#map.get(token | 0);
  }

  set(token: Token, value: T): void {
    this.#map.set(token | 0, value);
  }

  delete(token: Token): void {
    this.#map.delete(token | 0);
  }

  /** In the order of their coming. */
  values(): IterableIterator<T> {
    return this.#map.values();
  }
}
