import {
  type Address,
  addressBytes,
  formatAddress,
  isMapped,
  parsePrefix,
  sharePrefix,
  unmap,
} from "../types/index.ts";

/** Scopes that a policy, an engine or a reader tells apart: each is mapped onto itself. */
const SCOPES = [
  ...["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"],
  ...["fe80::/64", "fe80::/10", "fc00::/8", "fd00::/8", "64:ff9b::/96"],
].map(network);
/** Those of nobody in particular: they stay as they are. */
const KEPT = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/96", "ff00::/8"].map(network);

function network(text: string) {
  const prefix = parsePrefix(text);
  if (!prefix) throw new Error(`${text} is no network`);
  return prefix;
}

/** What may be a hardware address; IPv6, with a v4 tail or a port behind; IPv4; a hardware address in a name (systemd's enx001122334455). */
const MAYBE = [
  /(?<![0-9a-f:])[0-9a-f]{2}(?::[0-9a-f]{2}){5}(?![0-9a-f:])/,
  /(?<![\w:.])[0-9a-f]*:[0-9a-f:]*:[0-9a-f]*(?:(?:\.\d+){3})?(?![\w:]|\.\d)/,
  /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)/,
  /(?<=x)[0-9a-f]{12}(?![0-9a-f])/,
];
const ANY = new RegExp(MAYBE.map(({ source }) => source).join("|"), "gi");
const HARDWARE = /^(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{12})$/i;
const HAS_DIGITS_OF_ADDRESS = /[.:]|x[0-9a-f]{12}/i;
/** Fields that look like what they are not. */
const OWN_FIELDS: ReadonlySet<string> = new Set(["life", "version", "kernel"]);
/** So many texts, and prefixes of addresses, are remembered; then all are forgotten. */
const KNOWN_MAX = 4096;

/**
 * Makes other addresses of IP and hardware addresses, wherever they stand in values: always the same one of the same, of the same family and scope,
 * and two that share so many bits share so many afterwards. So networks and routes fit as before, and what is decided by them is decided as before.
 * What was there cannot be found out without the key, but for who knows some addresses and what was made of them: they tell the bits that others share.
 */
export class AddressMask {
  readonly #keyed: (text: string) => Uint8Array;
  readonly #texts = new Map<string, string>();
  readonly #trees = new Map<string, Uint8Array>();

  /** @param keyed 32 bytes for a text, which nobody can tell without the key: an HMAC-SHA-256 */
  constructor(keyed: (text: string) => Uint8Array) {
    this.#keyed = keyed;
  }

  /** The same value with other addresses; what has none is as it was. */
  value<T>(value: T): T {
    return this.#value(value, "") as T;
  }

  #value(value: unknown, field: string): unknown {
    if (typeof value === "string") return OWN_FIELDS.has(field) ? value : this.#field(value, field);
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
    if (Array.isArray(value)) return value.map((each) => this.#value(each, field));
    if (value instanceof Set) return new Set([...value].map((each) => this.#value(each, field)));
    if (value instanceof Map) {
      return new Map([...value].map(([key, each]) => [this.#value(key, ""), this.#value(each, String(key))]));
    }
    return this.#record(value as Readonly<Record<string, unknown>>);
  }

  #record(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const masked: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(record)) {
      const length = record[key === "bytes" ? "length" : `${key}Length`];
      masked[this.text(key)] = typeof length === "number" ? this.#ofNetwork(value, length) : this.#value(value, key);
    }
    return masked;
  }

  /** The address of a network, as text or bytes: nothing but its bits, and nothing behind them. */
  #ofNetwork(value: unknown, length: number): unknown {
    const bytes = typeof value === "string" ? addressBytes(value) : value;
    if (!Array.isArray(bytes) || (bytes.length !== 4 && bytes.length !== 16)) return this.#value(value, "");
    const masked = cut(this.#bytes(bytes), length);
    return typeof value === "string" ? formatAddress(masked) : masked;
  }

  #field(text: string, field: string): string {
    // That of a tunnel is the IP address at its near end.
    const octets = field === "hardwareAddress" ? text.split(":").map((octet) => Number.parseInt(octet, 16)) : [];
    if (octets.length !== 4 && octets.length !== 16) return this.text(text);
    return this.#bytes(octets).map(hex).join(":");
  }

  /** A text with other addresses in it. */
  text(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (!HAS_DIGITS_OF_ADDRESS.test(text)) return text;
    const masked = text.replace(ANY, (found: string, at: number) => this.#found(found, text.slice(at + found.length)));
    if (this.#texts.size >= KNOWN_MAX) this.#texts.clear();
    if (text.length <= 64) this.#texts.set(text, masked);
    return masked;
  }

  #found(found: string, behind: string): string {
    if (HARDWARE.test(found)) return this.#hardware(found);
    const length = /^\/(\d{1,3})(?!\d)/.exec(behind)?.[1];
    const masked = this.#address(found, length === undefined ? undefined : Number(length));
    if (masked !== undefined) return masked;
    // "2001:db8:1:2:3:4:5:6:443", as paths are named.
    const end = found.lastIndexOf(":");
    const address = this.#address(found.slice(0, end), undefined);
    return address === undefined ? found : address + found.slice(end);
  }

  /** @param length of the network that it names; undefined: it names none. @returns undefined: it is no address */
  #address(text: string, length: number | undefined): Address | undefined {
    const bytes = addressBytes(text);
    if (!bytes) return undefined;
    const address = formatAddress(bytes);
    const inner = isMapped(address) ? addressBytes(unmap(address)) : undefined;
    if (inner) return `::ffff:${formatAddress(this.#bytes(inner))}` as Address;
    const masked = this.#bytes(bytes);
    const names = length !== undefined && length <= 8 * bytes.length && isCut(bytes, length);
    return formatAddress(names ? cut(masked, length) : masked);
  }

  /** Whose it is stays out, also the maker: but for the bits that say "everybody" and "made up here". */
  #hardware(text: string): string {
    const octets = (text.match(/[0-9a-f]{2}/gi) ?? []).map((octet) => Number.parseInt(octet, 16));
    if (octets.every((octet) => octet === 0) || octets.every((octet) => octet === 255)) return text;
    const other = this.#tree(`hardware ${octets.join(" ")}`);
    const masked = octets.map((octet, at) => (at === 0 ? (octet & 3) | (other[0]! & 0xfc) : other[at]!));
    return masked.map(hex).join(text.includes(":") ? ":" : "");
  }

  /** Each bit is turned, or not, by what the key says to the bits before it (the idea of Crypto-PAn). */
  #bytes(bytes: readonly number[]): number[] {
    if (KEPT.some((kept) => kept.bytes.length === bytes.length && sharePrefix(kept.bytes, bytes, kept.length))) {
      return [...bytes];
    }
    const scopes = SCOPES.filter((scope) => scope.bytes.length === bytes.length);
    const kept = [...scopes, ...KEPT.filter((each) => each.bytes.length === bytes.length)];
    return bytes.map((byte, at) => {
      const tree = this.#tree(`${bytes.length} ${bytes.slice(0, at).join(" ")}`);
      let masked = byte;
      for (let bit = 0; bit < 8; bit++) {
        const before = 8 * at + bit;
        // On the way to a scope, which is not to become another.
        if (kept.some((each) => each.length > before && sharePrefix(each.bytes, bytes, before))) continue;
        const node = (1 << bit) | (byte >> (8 - bit));
        if ((tree[node >> 3]! >> (node & 7)) & 1) masked ^= 0x80 >> bit;
      }
      return masked;
    });
  }

  /** A bit for each way to begin a byte: 255 of 256. */
  #tree(text: string): Uint8Array {
    const known = this.#trees.get(text);
    if (known) return known;
    const tree = this.#keyed(text);
    if (this.#trees.size >= KNOWN_MAX) this.#trees.clear();
    this.#trees.set(text, tree);
    return tree;
  }
}

function isCut(bytes: readonly number[], length: number): boolean {
  return cut(bytes, length).every((byte, at) => byte === bytes[at]);
}

/** All bits behind the first ones are 0. */
function cut(bytes: readonly number[], length: number): number[] {
  return bytes.map((byte, at) => {
    const left = length - 8 * at;
    return left >= 8 ? byte : left <= 0 ? 0 : byte & (0xff << (8 - left)) & 0xff;
  });
}

const hex = (byte: number): string => byte.toString(16).padStart(2, "0");
