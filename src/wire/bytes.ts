import { type Address, addressBytes, assert, formatAddress } from "../types/index.ts";

/**
 * Integers at an offset, in host order unless the name says "be". Hosts that run Node and MPTCP are little-endian
 * (x86-64, arm64, riscv64): `netlink/native.ts` refuses to load elsewhere.
 */
export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function readU16be(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

export function readS32(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) | 0;
}

/** Exact up to 2^53, which counters of bytes and 64-bit ids do not pass in practice. */
export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + 4) * 0x1_0000_0000 + readU32(bytes, at);
}

/** ASCII or Latin-1 up to the first NUL: what the kernel puts in its strings. */
export function readString(bytes: Uint8Array, from: number, to: number): string {
  let text = "";
  for (let at = from; at < to && bytes[at] !== 0; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}

/**
 * How many texts {@link readAddress} and {@link Writer.address} keep each: the addresses of one host and its usual peers. Bounded, because peers choose theirs.
 */
const ADDRESS_CACHE_MAX = 4096;
const addressCache = new Map<number, Address>();

/** 4 or 16 bytes → canonical text. The same IPv4 address gives the same string object, so that events allocate less. */
export function readAddress(bytes: Uint8Array, at: number, length: number): Address {
  if (length !== 4) return formatAddress(bytes, at, length);
  const key = readU32(bytes, at);
  let address = addressCache.get(key);
  if (address === undefined) {
    if (addressCache.size >= ADDRESS_CACHE_MAX) addressCache.clear();
    address = formatAddress(bytes, at, 4);
    addressCache.set(key, address);
  }
  return address;
}

const bytesCache = new Map<Address, readonly number[]>();

/** Canonical text → 4 or 16 bytes; the other way round, and bounded like it. */
function bytesOf(address: Address): readonly number[] {
  let bytes: readonly number[] | undefined = bytesCache.get(address);
  if (bytes === undefined) {
    if (bytesCache.size >= ADDRESS_CACHE_MAX) bytesCache.clear();
    bytes = addressBytes(address);
    assert(bytes, `"${address}" is a canonical address`);
    bytesCache.set(address, bytes);
  }
  return bytes;
}

/** A growing buffer that netlink messages are written to; reused from request to request. */
export class Writer {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 4096) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** The buffer itself, valid up to {@link length} until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  reset(): void {
    this.#length = 0;
  }

  /** Forgets what was written from `length` on. */
  truncate(length: number): void {
    assert(length <= this.#length, "a writer is only ever shortened");
    this.#length = length;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#bytes[this.#length++] = value;
    this.#bytes[this.#length++] = value >>> 8;
  }

  u16be(value: number): void {
    this.u8(value >>> 8);
    this.u8(value);
  }

  u32(value: number): void {
    this.#reserve(4);
    this.putU32(this.#length, value);
    this.#length += 4;
  }

  u64(value: number): void {
    this.u32(value % 0x1_0000_0000);
    this.u32(Math.floor(value / 0x1_0000_0000));
  }

  append(data: ArrayLike<number>): void {
    this.#reserve(data.length);
    // Most are 4 bytes: set() with an array costs more than a loop.
    for (let i = 0; i < data.length; i++) this.#bytes[this.#length++] = data[i]!;
  }

  /** NUL-terminated, as NLA_NUL_STRING wants it. */
  string(text: string): void {
    for (let i = 0; i < text.length; i++) this.u8(text.charCodeAt(i) & 0xff);
    this.u8(0);
  }

  address(address: Address): void {
    this.append(bytesOf(address));
  }

  /** Zero bytes up to the next multiple of four (NLMSG_ALIGNTO, NLA_ALIGNTO). */
  align(): void {
    while (this.#length % 4 !== 0) this.u8(0);
  }

  putU16(at: number, value: number): void {
    this.#bytes[at] = value;
    this.#bytes[at + 1] = value >>> 8;
  }

  putU32(at: number, value: number): void {
    this.#bytes[at] = value;
    this.#bytes[at + 1] = value >>> 8;
    this.#bytes[at + 2] = value >>> 16;
    this.#bytes[at + 3] = value >>> 24;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
