import { type EstablishedPattern, isLike, NLMSG_HEADER } from "../wire/index.ts";

/** Of those that are known: the addon goes through what is prepared for them at each event. */
export const SAMPLES_MAX = 32;
/** Of those that were seen once, when there is no room: a host that talks to everybody is not to push out what comes again. */
const ONCE_MAX = 64;

interface Known {
  readonly pattern: EstablishedPattern;
  /** When it was last seen; counted, not measured. */
  seen: number;
}

/** Establishments that others are like, each in a place of its own: those that came lately. */
export class Samples {
  readonly #known = new Map<number, Known>();
  readonly #once = new Set<string>();
  #count = 0;

  get isEmpty(): boolean {
    return this.#known.size === 0;
  }

  /** Is there one that the message is like? It stays the longer. */
  has(message: Uint8Array): boolean {
    for (const known of this.#known.values()) {
      if (!isLike(known.pattern, message)) continue;
      known.seen = ++this.#count;
      return true;
    }
    return false;
  }

  /** @returns its place, from 0, maybe another's until now; undefined: there is no room for what was seen for the first time */
  add(pattern: EstablishedPattern): number | undefined {
    const place = this.#known.size < SAMPLES_MAX ? this.#free() : this.#oldest(pattern);
    if (place !== undefined) this.#known.set(place, { pattern, seen: ++this.#count });
    return place;
  }

  /** Forgets them all. @returns them, those that came last first */
  clear(): readonly EstablishedPattern[] {
    const known = [...this.#known.values()].sort((a, b) => b.seen - a.seen);
    this.#known.clear();
    return known.map(({ pattern }) => pattern);
  }

  #free(): number {
    let place = 0;
    while (this.#known.has(place)) place++;
    return place;
  }

  #oldest({ message, varying }: EstablishedPattern): number | undefined {
    const fixed = message.slice();
    for (const { at, length } of varying) fixed.fill(0, at, at + length);
    const key = fixed.subarray(NLMSG_HEADER).join();
    if (!this.#once.delete(key)) {
      this.#once.add(key);
      if (this.#once.size > ONCE_MAX) for (const first of this.#once.values()) return void this.#once.delete(first);
      return undefined;
    }
    const [[place]] = [...this.#known].sort(([, a], [, b]) => a.seen - b.seen) as [[number, Known]];
    return place;
  }
}
