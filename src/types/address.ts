/**
 * An IP address in canonical text: "10.0.1.1", RFC 5952 for IPv6 ("2001:db8::1"), IPv4-mapped kept as "::ffff:10.0.1.1"
 * (the kernel reports the connections of a dual-stack listener so). Canonical means: equal addresses are equal strings,
 * so that they can be map keys. Make one with `parseAddress` or by decoding; never by a cast of user input.
 */
export type Address = string & { readonly __brand: "Address" };

/** An address with a port; port in host order, 0 meaning "not given". */
export interface SocketAddress {
  readonly address: Address;
  readonly port: number;
}

/** The 4-tuple of one subflow, as seen from this host. */
export interface Path {
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
}

/** IPv4 (linux/socket.h). */
export const AF_INET = 2;
/** IPv6 (linux/socket.h). */
export const AF_INET6 = 10;
/** Of an address, or of a socket. */
export type Family = typeof AF_INET | typeof AF_INET6;

const MAPPED = "::ffff:";

/** True for "::ffff:a.b.c.d" (RFC 4291 §2.5.5.2). */
export function isMapped(address: Address): boolean {
  return address.startsWith(MAPPED) && address.includes(".");
}

/** The IPv4 address inside a v4-mapped one; any other address as it is. */
export function unmap(address: Address): Address {
  return isMapped(address) ? (address.slice(MAPPED.length) as Address) : address;
}

/** The family the kernel's wire format needs for this text: v4-mapped is AF_INET6. */
export function familyOf(address: Address): Family {
  return address.includes(":") ? AF_INET6 : AF_INET;
}

/** Same address, v4-mapped counting as v4 (mptcp_addresses_equal in net/mptcp/pm.c). */
export function sameAddress(a: Address, b: Address): boolean {
  return a === b || unmap(a) === unmap(b);
}

/** One string per 4-tuple, v4-mapped normalised, for map keys. */
export function pathKey(path: Path): string {
  return `${unmap(path.local.address)}:${path.local.port}>${unmap(path.remote.address)}:${path.remote.port}`;
}

/** "10.0.1.1:443" or "[2001:db8::1]:443". */
export function formatSocketAddress({ address, port }: SocketAddress): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function parseV4(text: string): number[] | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes: number[] = [];
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part)) return undefined;
    const byte = Number(part);
    if (byte > 255) return undefined;
    bytes.push(byte);
  }
  return bytes;
}

function parseV6(text: string): number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = (half: string): number[] | undefined => {
    if (half === "") return [];
    const bytes: number[] = [];
    const parts = half.split(":");
    for (const [index, part] of parts.entries()) {
      if (part.includes(".")) {
        const v4 = index === parts.length - 1 ? parseV4(part) : undefined;
        if (!v4) return undefined;
        bytes.push(...v4);
        continue;
      }
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      const group = Number.parseInt(part, 16);
      bytes.push(group >> 8, group & 0xff);
    }
    return bytes;
  };
  const head = groups(halves[0] ?? "");
  if (!head) return undefined;
  if (halves.length === 1) return head.length === 16 ? head : undefined;
  const tail = groups(halves[1] ?? "");
  // "::" stands for at least one group of zeros (RFC 5952 §4.2.2), and v4 text may stand only at the very end.
  if (!tail || head.length + tail.length > 14 || (halves[0] ?? "").includes(".")) return undefined;
  return [...head, ...new Array<number>(16 - head.length - tail.length).fill(0), ...tail];
}

/** 4 or 16 bytes in network order → canonical text. */
export function formatAddress(bytes: ArrayLike<number>, offset = 0, length: number = bytes.length - offset): Address {
  const at = (index: number): number => bytes[offset + index] ?? 0;
  if (length === 4) return `${at(0)}.${at(1)}.${at(2)}.${at(3)}` as Address;
  return formatV6(at);
}

function formatV6(at: (index: number) => number): Address {
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push((at(2 * i) << 8) | at(2 * i + 1));
  if (groups.slice(0, 5).every((g) => g === 0) && groups[5] === 0xffff) {
    return `${MAPPED}${at(12)}.${at(13)}.${at(14)}.${at(15)}` as Address;
  }
  let bestStart = -1;
  let bestLength = 1; // a single zero group is not shortened (RFC 5952 §4.2.2)
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > bestLength) {
      bestStart = i;
      bestLength = run;
    }
    i += run;
  }
  const hex = (list: number[]): string => list.map((g) => g.toString(16)).join(":");
  if (bestStart < 0) return hex(groups) as Address;
  return `${hex(groups.slice(0, bestStart))}::${hex(groups.slice(bestStart + bestLength))}` as Address;
}

/** Text as a person writes it → 4 or 16 bytes in network order; undefined when it is no IP address. */
export function addressBytes(text: string): number[] | undefined {
  return text.includes(":") ? parseV6(text) : parseV4(text);
}

/** Text as a person writes it → canonical {@link Address}; undefined when it is no IP address. */
export function parseAddress(text: string): Address | undefined {
  const bytes = addressBytes(text);
  return bytes && formatAddress(bytes);
}
