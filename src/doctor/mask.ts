import { type Address, addressBytes, isMapped, parseAddress, unmap } from "../types/index.ts";

const MAC = /\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/gi;
/** Whatever may be an IPv6 address, with a v4 tail or without; parsing decides. */
const MAYBE_V6 = /(?<![\w:.])[0-9a-f:]*:[0-9a-f:]*(?:\d+\.\d+\.\d+\.\d+)?(?![\w:]|\.\d)/gi;
const MAYBE_V4 = /(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)/g;

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
 * Replaces every IP address and hardware address in a text, the same one always by the same word ("v4-private-1",
 * "v6-global-2", "mac-1"): the family and the scope stay visible, who it is does not. Loopback, unspecified and
 * documentation addresses stay.
 */
export function maskAddresses(text: string): string {
  const words = new Map<string, string>();
  const counts = new Map<string, number>();
  const wordFor = (key: string, kind: string): string => {
    const known = words.get(key);
    if (known !== undefined) return known;
    const number = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, number);
    words.set(key, `${kind}-${number}`);
    return `${kind}-${number}`;
  };
  const mask = (found: string): string => {
    const address = parseAddress(found);
    if (address !== undefined && isMapped(address)) return `::ffff:${mask(unmap(address))}`;
    const scope = address && scopeOf(address);
    if (address === undefined || scope === undefined) return found;
    return wordFor(address, `${address.includes(":") ? "v6" : "v4"}-${scope}`);
  };
  return text
    .replace(MAC, (found) => wordFor(found.toLowerCase(), "mac"))
    .replace(MAYBE_V6, mask)
    .replace(MAYBE_V4, mask);
}
