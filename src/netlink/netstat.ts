import { closeSync, constants, readSync } from "node:fs";
import { checkNetns } from "./netns.ts";
import { openIn } from "./proc.ts";

const PATH = "/proc/thread-self/net/netstat";
/** The file has about 4 kB with MPTCP; what a later kernel adds comes behind what we look for or is cut. */
const BYTES = 32 << 10;

/**
 * Some counters of /proc/net/netstat (TcpExt, IpExt, MPTcpExt), read again and again: the file stays open and is not taken apart further than
 * needed, so that a look costs some 15 microseconds.
 */
export class NetstatReader implements Disposable {
  readonly #fd: number;
  readonly #names: readonly string[];
  readonly #text = Buffer.allocUnsafe(BYTES);
  /** Per line of values, in order: [place in the line, index of the name]. */
  #places: ReadonlyMap<number, readonly (readonly [number, number])[]> | undefined;
  readonly #values: number[];

  /** @param names of the file's, as "TCPTimeouts"; one that this kernel lacks stays 0 */
  constructor(names: readonly string[], netns?: string) {
    this.#names = names;
    this.#values = names.map(() => 0);
    this.#fd = openIn(PATH, constants.O_RDONLY, netns);
    checkNetns(this.#fd, `cannot read ${PATH}`, netns);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** The values in the order of the names; the same array each time. */
  read(): readonly number[] {
    const length = readSync(this.#fd, this.#text, 0, BYTES, 0);
    const lines = this.#text.toString("latin1", 0, length).split("\n");
    this.#places ??= placesOf(lines, this.#names);
    for (const [line, places] of this.#places) {
      const values = (lines[line] ?? "").split(" ");
      for (const [place, index] of places) this.#values[index] = Number(values[place] ?? 0);
    }
    return this.#values;
  }
}

/** A line of names is followed by its line of values. */
function placesOf(lines: readonly string[], names: readonly string[]): Map<number, (readonly [number, number])[]> {
  const places = new Map<number, (readonly [number, number])[]>();
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const found = (lines[at] ?? "").split(" ").flatMap((name, place) => {
      const index = names.indexOf(name);
      return place > 0 && index >= 0 ? [[place, index] as const] : [];
    });
    if (found.length > 0) places.set(at + 1, found);
  }
  return places;
}
