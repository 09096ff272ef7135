import { type Address, addressBytes, formatAddress, isMapped, parseAddress, unmap } from "../types/index.ts";
import { addressSpellings, hardwareSpellings } from "./spellings.ts";

/** Whatever may be an IPv6 address, with a v4 tail or without; parsing decides. */
const MAYBE_V6 = /(?<![\w:.])[0-9a-f:]*:[0-9a-f:]*(?:\d+\.\d+\.\d+\.\d+)?(?![\w:]|\.\d)/gi;
const MAYBE_V4 = /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)/g;
const MAYBE_MAC = /(?<![0-9a-f:])[0-9a-f]{2}(?::[0-9a-f]{2}){5}(?![0-9a-f:])/gi;
/** In the name of an interface (systemd's enx001122334455), where nothing else has 12 digits. */
const MAC_IN_NAME = /[0-9a-f]{12}/gi;

/** Fields whose values are words of Subflow or the kernel, not of anybody's machine: no host name is looked for in them. */
const OWN_WORDS = new Set(
  "id level side state type kind interfaceKind operationalState pathManager product policy tool what".split(" "),
);
/** Names that every machine has. */
const NOBODY = new Set(["", "localhost", "localhost.localdomain", "localdomain", "(none)", "local", "lan"]);

/** Scope of an address as far as a reader of a report needs it; undefined: says nothing of anybody and is kept. */
export function scopeOf(address: Address): string | undefined {
  const bytes = addressBytes(address) ?? [];
  const [first = 0, second = 0] = bytes;
  if (bytes.every((byte) => byte === 0)) return undefined;
  if (bytes.length === 4) {
    if (first === 127 || (first === 192 && second === 0 && bytes[2] === 2)) return undefined;
    if (first === 169 && second === 254) return "linklocal";
    if (first === 100 && (second & 0xc0) === 64) return "shared";
    if (first >= 224) return "multicast";
    const isPrivate = first === 10 || (first === 172 && (second & 0xf0) === 16) || (first === 192 && second === 168);
    return isPrivate ? "private" : "global";
  }
  if (address === "::1" || (first === 0x20 && second === 0x01 && bytes[2] === 0x0d && bytes[3] === 0xb8))
    return undefined;
  if (first === 0xfe && (second & 0xc0) === 0x80) return "linklocal";
  if (first === 0xff) return "multicast";
  return (first & 0xfe) === 0xfc ? "private" : "global";
}

/**
 * Replaces what tells who somebody is in a report: IP addresses, hardware addresses, host names, names of connections; the
 * same one always by the same word ("v4-private-1", "v6-global-2", "mac-1", "host-1"), so that family, scope and sameness
 * stay visible. First {@link learn} all values, each by its type; then whatever spells one of them is replaced, wherever it
 * stands: inside the name of an interface, in hexadecimal, in a firewall rule. Loopback, unspecified and documentation
 * addresses stay.
 */
export class Masker {
  /** Spelling, lower case → word. */
  readonly #words = new Map<string, string>();
  readonly #hosts = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #known = new Map<string, string>();
  #patterns: { readonly spellings: readonly RegExp[]; readonly hosts: RegExp | undefined } | undefined;

  /** Takes in every address in a value, by what its fields are; strings are read for what parses as one. */
  learn(value: unknown, field = ""): void {
    if (typeof value === "string") this.#learnText(value, field);
    else if (value instanceof Map) for (const [key, entry] of value) this.#learnEntry(String(key), entry);
    else if (Array.isArray(value) || value instanceof Set) for (const entry of value) this.learn(entry, field);
    else if (value !== null && typeof value === "object")
      for (const [key, entry] of Object.entries(value)) this.#learnEntry(key, entry);
  }

  /** A host name, with or without its domain; each part that is somebody's own is hidden. */
  learnHost(name: string): void {
    const lower = name.trim().toLowerCase().replace(/\.$/, "");
    const dot = lower.indexOf(".");
    const parts = dot < 0 ? [lower] : [lower, lower.slice(0, dot), lower.slice(dot + 1)];
    for (const part of parts) {
      // The last label of a domain ("com") is everybody's.
      const isSuffix = part !== lower && part !== parts[1] && !part.includes(".");
      if (NOBODY.has(part) || part.length < 2 || isSuffix || this.#hosts.has(part)) continue;
      this.#hosts.set(part, this.#word(`host ${part}`, "host"));
      this.#patterns = undefined;
    }
  }

  /** The same value with every secret in its strings, and in the names of its fields, replaced. */
  value<T>(value: T): T {
    return this.#value(value, "") as T;
  }

  /** A text with every secret replaced. */
  text(text: string): string {
    this.#learnText(text, "");
    return this.#replace(text, true);
  }

  #learnEntry(key: string, value: unknown): void {
    this.#learnText(key, "");
    this.learn(value, key);
  }

  #learnText(text: string, field: string): void {
    if (field === "hardwareAddress") return this.#learnHardware(text.toLowerCase());
    if (field === "connection" && text !== "") this.#hosts.set(text.toLowerCase(), this.#word(`name ${text}`, "name"));
    for (const [mac] of text.matchAll(MAYBE_MAC)) this.#learnHardware(mac.toLowerCase());
    if (field === "name" || field === "dev") {
      for (const [mac] of text.matchAll(MAC_IN_NAME)) this.#learnHardware(mac.toLowerCase().match(/../g)!.join(":"));
    }
    for (const pattern of [MAYBE_V6, MAYBE_V4]) for (const [found] of text.matchAll(pattern)) this.#learnAddress(found);
  }

  #learnHardware(text: string): void {
    const bytes = text.split(":").map((byte) => Number.parseInt(byte, 16));
    if (text === "" || bytes.every((byte) => byte === 0) || bytes.every((byte) => byte === 255)) return;
    // That of a tunnel is the IP address at its near end.
    if (bytes.length === 4 || bytes.length === 16) return this.#learnAddress(formatAddress(bytes));
    const word = this.#word(text, bytes.length === 6 ? "mac" : "hardware");
    this.#spell(hardwareSpellings(text), word);
  }

  #learnAddress(text: string): void {
    const parsed = parseAddress(text);
    const address = parsed && unmap(parsed);
    const scope = address && scopeOf(address);
    if (address === undefined || scope === undefined || this.#known.has(address)) return;
    this.#spell(addressSpellings(address), this.#word(address, `${address.includes(":") ? "v6" : "v4"}-${scope}`));
  }

  #spell(spellings: readonly string[], word: string): void {
    for (const spelling of spellings) {
      if (this.#words.has(spelling)) continue;
      this.#words.set(spelling, word);
      this.#patterns = undefined;
    }
  }

  #word(value: string, kind: string): string {
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const number = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, number);
    this.#known.set(value, `${kind}-${number}`);
    return `${kind}-${number}`;
  }

  #value(value: unknown, field: string): unknown {
    if (typeof value === "string") return this.#replace(value, !OWN_WORDS.has(field));
    if (Array.isArray(value)) return value.map((entry) => this.#value(entry, field));
    if (value instanceof Set) return new Set([...value].map((entry) => this.#value(entry, field)));
    if (value instanceof Map) return new Map([...value].map(([key, entry]) => this.#entry(String(key), entry)));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => this.#entry(key, entry)));
  }

  #entry(key: string, value: unknown): [string, unknown] {
    return [this.#replace(key, false), this.#value(value, key)];
  }

  #replace(text: string, withHosts: boolean): string {
    this.#patterns ??= this.#compile();
    const { spellings, hosts } = this.#patterns;
    const wordOf = (found: string): string => this.#words.get(found.toLowerCase()) ?? found;
    // Parsed, an address is found in spellings that nobody thought of.
    let masked = text
      .replace(MAYBE_V6, (found) => this.#parsed(found))
      .replace(MAYBE_V4, (found) => this.#parsed(found));
    for (const pattern of spellings) masked = masked.replace(pattern, wordOf);
    if (!withHosts || hosts === undefined) return masked;
    return masked.replace(hosts, (found) => this.#hosts.get(found.toLowerCase()) ?? found);
  }

  #parsed(found: string): string {
    const address = parseAddress(found);
    if (address === undefined) return found;
    const word = this.#known.get(unmap(address));
    if (word === undefined) return found;
    return isMapped(address) ? `::ffff:${word}` : word;
  }

  #compile(): { spellings: RegExp[]; hosts: RegExp | undefined } {
    const longest = (a: string, b: string): number => b.length - a.length;
    const spellings = [...this.#words.keys()].sort(longest);
    const chunks = Array.from({ length: Math.ceil(spellings.length / CHUNK) }, (_, index) =>
      spellings.slice(index * CHUNK, (index + 1) * CHUNK),
    );
    const names = [...this.#hosts.keys()].sort(longest).map(escaped);
    return {
      spellings: chunks.map((chunk) => new RegExp(chunk.map(bounded).join("|"), "gi")),
      hosts: names.length === 0 ? undefined : new RegExp(`(?<![\\w-])(?:${names.join("|")})(?![\\w-])`, "gi"),
    };
  }
}

/** So many spellings make one expression: more would take the engine long to compile. */
const CHUNK = 1000;

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/**
 * Hexadecimal digits alone may be part of more digits (an address in a name). With marks between, digits must not go on; a
 * colon may (a port), since whatever parses with it is known itself, and longer spellings come first.
 */
function bounded(spelling: string): string {
  if (/^\d{1,10}$/.test(spelling) && spelling.length !== 8) return `(?<!\\d)${spelling}(?!\\d)`;
  if (/^[0-9a-f]+$/.test(spelling)) return spelling;
  if (spelling.includes(":")) return `(?<![0-9a-f])${escaped(spelling)}(?![0-9a-f])`;
  return `(?<!\\d|\\d\\.)${escaped(spelling)}(?!\\d|\\.\\d)`;
}

/** Masks what a text shows by itself: addresses that parse, hardware addresses. */
export function maskAddresses(text: string): string {
  return new Masker().text(text);
}
