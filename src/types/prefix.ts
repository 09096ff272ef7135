import { type Address, addressBytes, formatAddress, unmap } from "./address.ts";

/** A network: the addresses that share its first `length` bits. */
export interface Prefix {
  /** 4 or 16 bytes in network order. */
  readonly bytes: readonly number[];
  readonly length: number;
}

/** "10.0.0.0/8", "2001:db8::/32", or an address alone → {@link Prefix}; undefined when it is none. Bits behind the length are ignored. */
export function parsePrefix(text: string): Prefix | undefined {
  const [address = "", length, ...rest] = text.split("/");
  const bytes = addressBytes(address);
  if (!bytes || rest.length > 0) return undefined;
  if (length === undefined) return { bytes, length: 8 * bytes.length };
  if (!/^\d{1,3}$/.test(length) || Number(length) > 8 * bytes.length) return undefined;
  return { bytes, length: Number(length) };
}

/** Is the address in the network? An IPv4-mapped one counts as IPv4. */
export function isWithin(prefix: Prefix, address: Address): boolean {
  const bytes = addressBytes(unmap(address));
  return bytes?.length === prefix.bytes.length && sharePrefix(bytes, prefix.bytes, prefix.length);
}

/** Are the first `length` bits of two addresses the same? Both in network order, of one family. */
export function sharePrefix(a: readonly number[], b: readonly number[], length: number): boolean {
  for (let bit = 0; bit < length; bit += 8) {
    const left = length - bit;
    const mask = left >= 8 ? 0xff : (0xff << (8 - left)) & 0xff;
    if (((a[bit >> 3] ?? 0) ^ (b[bit >> 3] ?? 0)) & mask) return false;
  }
  return true;
}

/** "10.0.0.0/8"; an address alone without a length. */
export function formatPrefix({ bytes, length }: Prefix): string {
  const address = formatAddress(bytes);
  return length === 8 * bytes.length ? address : `${address}/${length}`;
}
