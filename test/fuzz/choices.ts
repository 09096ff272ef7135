/** An input as a row of decisions: so mutations of bytes become other things that happen. */
export class Choices {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isOver(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** 0 where nothing is left. */
  byte(): number {
    return this.#bytes[this.#at++] ?? 0;
  }

  below(end: number): number {
    return this.byte() % end;
  }

  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] ?? items[0];
  }

  flag(): boolean {
    return (this.byte() & 1) === 1;
  }
}
