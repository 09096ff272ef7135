import { RecordingError } from "./error.ts";

/** Room for a few entries; it grows by doubling. */
const FIRST_SIZE = 4096;
/** 2^7: the bits of a varint in one byte. */
const BASE = 128;

/** Bytes that are written one after the other; numbers are little-endian. */
export class ByteWriter {
  #bytes = new Uint8Array(FIRST_SIZE);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was written, to be copied by whoever keeps it. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Back to a length that it had before: 0 empties it. */
  cut(length: number): void {
    this.#length = length;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  u32(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  f64(value: number): void {
    this.#room(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** A whole number from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.#room(8);
    let rest = value;
    while (rest >= BASE) {
      this.#bytes[this.#length++] = (rest % BASE) | BASE;
      rest = Math.floor(rest / BASE);
    }
    this.#bytes[this.#length++] = rest;
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** With its length in front: UTF-16 units as UTF-8 has code points, so that lone surrogates survive too. */
  text(text: string): void {
    const start = this.#length;
    this.varint(text.length);
    this.#room(3 * text.length);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      if (unit < 0x80) bytes[at++] = unit;
      else if (unit < 0x800) {
        bytes[at++] = 0xc0 | (unit >> 6);
        bytes[at++] = 0x80 | (unit & 0x3f);
      } else {
        bytes[at++] = 0xe0 | (unit >> 12);
        bytes[at++] = 0x80 | ((unit >> 6) & 0x3f);
        bytes[at++] = 0x80 | (unit & 0x3f);
      }
    }
    this.#length = at;
    if (at < start) throw new RangeError("the buffer is too small");
  }

  #room(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** Reads what {@link ByteWriter} wrote. Everything throws {@link RecordingError} where there is not enough. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    this.#need(1);
    return this.#bytes[this.#at++] as number;
  }

  u32(): number {
    this.#need(4);
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }

  f64(): number {
    this.#need(8);
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, true);
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= BASE) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < BASE) break;
      if (factor > 2 ** 45) throw new RecordingError("a number has no end");
    }
    if (!Number.isSafeInteger(value)) throw new RecordingError("a number is too large");
    return value;
  }

  /** How many things follow, of which each takes a byte at least. */
  count(): number {
    const count = this.varint();
    if (count > this.left) throw new RecordingError("more is announced than there is");
    return count;
  }

  raw(length: number): Uint8Array {
    this.#need(length);
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  text(): string {
    const length = this.count();
    const units = new Array<number>(Math.min(length, CHUNK));
    let text = "";
    for (let index = 0, filled = 0; index < length; index++) {
      units[filled++] = this.#unit();
      if (filled < CHUNK && index + 1 < length) continue;
      units.length = filled;
      text += String.fromCharCode(...units);
      filled = 0;
    }
    return text;
  }

  #unit(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    if (first >> 5 === 0b110) return ((first & 0x1f) << 6) | this.#further();
    if (first >> 4 === 0b1110) return ((first & 0x0f) << 12) | (this.#further() << 6) | this.#further();
    throw new RecordingError("a text is none");
  }

  #further(): number {
    const byte = this.byte();
    if (byte >> 6 !== 0b10) throw new RecordingError("a text is none");
    return byte & 0x3f;
  }

  #need(bytes: number): void {
    if (bytes > this.left) throw new RecordingError("it ends in the middle of a value");
  }
}

/** Arguments of one call of String.fromCharCode. */
const CHUNK = 1024;
