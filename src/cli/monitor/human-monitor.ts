import type { Happening, Path, Token } from "../../types/index.ts";
import { happeningWords } from "../happening-words.ts";
import type { Interfaces } from "../interfaces.ts";
import { wrapped } from "../layout.ts";
import type { Streams } from "../streams.ts";
import { formatToken } from "../words.ts";

/** Connections whose beginning is remembered, and addresses whose interface is. */
const REMEMBERED_MAX = 10_000;

/** What happens, a line each, for people: when, how long after the connection's beginning, to which one, and what in words. */
export class HumanMonitor {
  readonly #readInterfaces: () => Interfaces;
  readonly #streams: Pick<Streams, "paint" | "width">;
  readonly #begun = new Map<Token, number>();
  /** An address that is gone had an interface a moment ago, and that is what one wants to know. */
  readonly #names = new Map<string, string>();

  /** @param readInterfaces those that there are now: they come and go while this runs */
  constructor(readInterfaces: () => Interfaces, streams: Pick<Streams, "paint" | "width">) {
    this.#readInterfaces = readInterfaces;
    this.#streams = streams;
  }

  /** @param time of the day, milliseconds since 1970 */
  lines(happening: Happening, time: number): string {
    const { paint, width } = this.#streams;
    const { token } = happening;
    const since =
      token === undefined || token === 0 ? "" : `+${((time - this.#beginOf(token, time)) / 1000).toFixed(3)} s`;
    if (happening.type === "connection.closed" && token !== undefined) this.#begun.delete(token);
    const name = token === undefined || token === 0 ? "" : formatToken(token);
    const words = happeningWords(happening, (local, index) => this.interfaceOf(local, index));
    const head = `${clock(time)} ${since.padStart(11)}  ${name.padEnd(8)}  `;
    const painted = (line: string): string => (happening.kind === "decision" ? paint("good", line) : line);
    return wrapped(head + words, width, head.length)
      .map((line) => `${painted(line)}\n`)
      .join("");
  }

  /** The interface behind a local end, also when it has lost its address just now. */
  interfaceOf({ address }: Path["local"], interfaceIndex: number | undefined): string | undefined {
    const interfaces = this.#readInterfaces();
    const index = interfaceIndex || interfaces.holder(address);
    if (index === undefined) return this.#names.get(address);
    const name = interfaces.name(index);
    remember(this.#names, address, name);
    return name;
  }

  #beginOf(token: Token, time: number): number {
    const known = this.#begun.get(token);
    if (known === undefined) remember(this.#begun, token, time);
    return known ?? time;
  }
}

function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > REMEMBERED_MAX && oldest !== undefined) map.delete(oldest);
}

/** "12:34:56.789", of the day here. */
function clock(time: number): string {
  const date = new Date(time);
  const two = (value: number): string => String(value).padStart(2, "0");
  const seconds = `${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
  return `${two(date.getHours())}:${two(date.getMinutes())}:${seconds}`;
}
