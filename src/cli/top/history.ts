const BLOCKS = " ▁▂▃▄▅▆▇█";
/** As many as the widest picture shows. */
const KEPT_MAX = 60;

/** What was measured last of many things, by name: for sparklines. */
export class History {
  readonly #values = new Map<string, number[]>();

  push(key: string, value: number): void {
    const values = this.#values.get(key);
    if (!values) this.#values.set(key, [value]);
    else if (values.push(value) > KEPT_MAX) values.shift();
  }

  /** Forgets all but these. */
  keep(isThere: (key: string) => boolean): void {
    for (const key of this.#values.keys()) if (!isThere(key)) this.#values.delete(key);
  }

  get size(): number {
    return this.#values.size;
  }

  /** The last values, the oldest first. */
  values(key: string): readonly number[] {
    return this.#values.get(key) ?? [];
  }

  /** The last values as blocks, the largest of them as the highest; right-aligned, for now is at the right. */
  sparkline(key: string, width: number): string {
    const values = (this.#values.get(key) ?? []).slice(-width);
    const largest = Math.max(...values, 1);
    // Whatever is more than nothing can be seen.
    const block = (value: number): string => BLOCKS[value <= 0 ? 0 : Math.max(1, Math.round((value / largest) * 8))]!;
    return values.map(block).join("").padStart(width);
  }
}
