import { type Address, addressBytes, formatAddress } from "../types/index.ts";

/** Kinds of route that need no way out (ip-route(8)). */
const TYPES = ["unicast", "blackhole", "unreachable", "prohibit", "throw"] as const;

/** A route of a host, each word of it checked: nothing of the file's text reaches ip(8) unseen. */
interface Route {
  readonly line: string;
  /** Interfaces that it names. */
  readonly devices: readonly string[];
}

const U32_MAX = 0xffff_ffff;

const number = (word: string): string | undefined =>
  /^(0|[1-9]\d{0,9})$/.test(word) && Number(word) <= U32_MAX ? word : undefined;

const oneOf =
  (...words: readonly string[]) =>
  (word: string): string | undefined =>
    words.includes(word) ? word : undefined;

/** Key of ip-route(8) → what may follow it; the text as ip(8) is to see it, or undefined. */
const VALUES: Readonly<Record<string, (word: string) => string | undefined>> = {
  via: canonical,
  src: canonical,
  dev: (word) => (isInterfaceName(word) ? word : undefined),
  metric: number,
  table: (word) => number(word) ?? oneOf("main", "local", "default")(word),
  mtu: number,
  initcwnd: number,
  scope: oneOf("global", "link", "host"),
  proto: (word) => number(word) ?? oneOf("static", "boot", "kernel")(word),
};

/** Words of ip-route(8) without a value. */
const FLAGS = ["onlink"];

/** The words that {@link checkRoute} takes, for messages. */
export const ROUTE_GRAMMAR = `[${TYPES.join("|")}] default|ADDRESS[/LENGTH] ${Object.keys(VALUES)
  .map((key) => `[${key} ...]`)
  .join(" ")} [onlink]`;

/** "wifi", "eth0.5": a name the kernel takes (dev_valid_name) that is safe in every line of ip(8). */
export function isInterfaceName(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9_.-]{0,14}$/.test(text);
}

/** "10.0.0.0/8 via 10.0.1.2 dev wifi metric 100" → its words, checked; a text: what is wrong. */
export function checkRoute(text: string): Route | string {
  const words = text.split(" ").filter((word) => word !== "");
  const type = TYPES.find((known) => known === words[0]);
  const [prefix, ...rest] = type ? words.slice(1) : words;
  const target = prefixOf(prefix ?? "");
  if (target === undefined)
    return `"${printable(prefix ?? "")}" is neither "default" nor an address with a prefix length`;
  const line = [...(type ? [type] : []), target];
  const devices: string[] = [];
  const seen = new Set<string>();
  for (let index = 0; index < rest.length; index++) {
    const key = rest[index] ?? "";
    if (seen.has(key)) return `"${printable(key)}" stands there twice`;
    seen.add(key);
    line.push(key);
    if (FLAGS.includes(key)) continue;
    if (!Object.hasOwn(VALUES, key)) return `"${printable(key)}" is no word of a route; it is: ${ROUTE_GRAMMAR}`;
    const word = rest[++index];
    const value = word === undefined ? undefined : VALUES[key]?.(word);
    if (value === undefined) return `"${key} ${printable(word ?? "")}" is wrong`;
    if (key === "dev") devices.push(value);
    line.push(value);
  }
  return { line: line.join(" "), devices };
}

/** The interfaces that a route names. */
export function routeDevices(text: string): readonly string[] {
  const route = checkRoute(text);
  return typeof route === "string" ? [] : route.devices;
}

function canonical(text: string): Address | undefined {
  const bytes = addressBytes(text);
  return bytes && formatAddress(bytes);
}

function prefixOf(text: string): string | undefined {
  if (text === "default") return text;
  const [address = "", length, ...more] = text.split("/");
  const bytes = addressBytes(address);
  if (bytes === undefined || more.length > 0) return undefined;
  if (length === undefined) return formatAddress(bytes);
  if (!/^\d{1,3}$/.test(length) || Number(length) > bytes.length * 8) return undefined;
  return `${formatAddress(bytes)}/${Number(length)}`;
}

/** What a terminal may be shown of somebody's text. */
export function printable(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
