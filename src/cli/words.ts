import { type Address, formatAddress, parseAddress, type Token } from "../types/index.ts";
import { wrongArgument } from "./failure.ts";

/** True when `word` is a non-empty beginning of `full`: how iproute2 lets every word be abbreviated. */
export function abbreviates(word: string, full: string): boolean {
  return word !== "" && full.startsWith(word);
}

/**
 * An unsigned number as strtoul(3) with base 0 reads it (decimal, 0x hexadecimal, 0 octal), no larger than `max`;
 * undefined for anything else. The `-0` that strtoul takes is taken too.
 */
export function parseUnsigned(text: string, max: number): number | undefined {
  const match = /^\s*([+-]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9]\d*))$/.exec(text);
  if (!match) return undefined;
  const [, sign, hexadecimal, octal, decimal] = match;
  const value = hexadecimal
    ? Number.parseInt(hexadecimal, 16)
    : octal
      ? Number.parseInt(octal, 8)
      : Number.parseInt(decimal ?? "", 10);
  if (sign === "-" && value !== 0) return undefined;
  return value <= max ? value : undefined;
}

/** A number of a command line, or the error that iproute2 would print. */
export function unsignedArgument(text: string, max: number, reason: string): number {
  const value = parseUnsigned(text, max);
  if (value === undefined) throw wrongArgument(text, reason);
  return value;
}

/** An IP address as iproute2 reads one: IPv4 may be shortened from the right ("10.8" is 10.8.0.0), in any base. */
export function parseLooseAddress(text: string): Address | undefined {
  if (text.includes(":")) return parseAddress(text);
  const bytes = text.split(".").map((part) => parseUnsigned(part, 255));
  if (bytes.length > 4 || bytes.includes(undefined)) return undefined;
  return formatAddress([...(bytes as number[]), 0, 0, 0].slice(0, 4));
}

/** A token as `monitor`, `connections` and ss(8) print it: hexadecimal, with or without 0x, leading zeros optional. */
export function parseToken(text: string): Token | undefined {
  return /^(0x)?[0-9a-f]{1,8}$/i.test(text) ? Number.parseInt(text.replace(/^0x/i, ""), 16) : undefined;
}

/** Eight hexadecimal digits, as every command prints a token. */
export function formatToken(token: Token): string {
  return token.toString(16).padStart(8, "0");
}

/** The token on a command line. */
export function tokenArgument(text: string | undefined): Token {
  if (text === undefined) throw wrongArgument("TOKEN", "it is missing; `subflow connections` lists the tokens");
  const token = parseToken(text);
  if (token === undefined) throw wrongArgument(text, "a token is up to 8 hexadecimal digits, as in 0x1b2c3d4e");
  return token;
}

/** "10.0.0.1", "10.0.0.1:80", "2001:db8::1", "[2001:db8::1]:80"; port 0 when there is none. */
export function parseSocketAddress(text: string): { address: Address; port: number } | undefined {
  const bracketed = /^\[([^\]]+)\](?::(.+))?$/.exec(text);
  const plain = /^([^:]+)(?::([^:]+))?$/.exec(text);
  const [, host, portText] = bracketed ?? plain ?? [undefined, text, undefined];
  const address = parseAddress(host ?? "");
  const port = portText === undefined ? 0 : parseUnsigned(portText, 0xffff);
  return address === undefined || port === undefined ? undefined : { address, port };
}

/** The known word that was probably meant, for "did you mean"; undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance, with one row of memory. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
