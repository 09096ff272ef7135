import { RecordingError } from "./error.ts";

/*
 * A recording is frames, one after the other:
 *
 *   0xab 'S' 'F' FORMAT | kind, 1 byte | length of the payload, u32 | CRC-32 of kind, length and payload, u32 | payload
 *
 * What was cut off at the end, or spoilt, shows; what stands before plays. A frame of kind `begin` needs none before it, so that recordings can
 * be put behind each other, and reading goes on there after a frame that is spoilt.
 */

/** Changes whenever an older reader would misread. */
export const FORMAT = 1;
const MAGIC = [0xab, 0x53, 0x46] as const;
/** Bytes before the payload. */
export const FRAME_HEAD = 13;
/** No frame of ours is larger; what says so is spoilt. */
export const FRAME_MAX = 16 * 1024 * 1024;

/** `begin`: nothing of before is needed to read it. */
export type FrameKind = "begin" | "more";

const KINDS: readonly FrameKind[] = ["begin", "more"];

/** CRC-32 of ISO-HDLC (zlib, PNG), byte by byte from this table. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/** CRC-32 of some bytes. @param before of those that stand before them */
export function crc32(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (let index = 0; index < bytes.length; index++)
    crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[index] as number)) & 0xff] as number);
  return ~crc >>> 0;
}

/** A payload in its frame. */
export function frame(kind: FrameKind, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEAD + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set([...MAGIC, FORMAT, KINDS.indexOf(kind)]);
  view.setUint32(5, payload.length, true);
  bytes.set(payload, FRAME_HEAD);
  view.setUint32(9, crc32(payload, crc32(bytes.subarray(4, 9))), true);
  return bytes;
}

/** What a recording holds at some place. */
export type Piece =
  | { readonly type: "frame"; readonly kind: FrameKind; readonly payload: Uint8Array; readonly at: number }
  /** So many bytes from `at` on are no frame. */
  | { readonly type: "spoilt"; readonly at: number; readonly bytes: number };

/** Finds frames in bytes that come piece by piece. */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array();
  /** Place of the first byte of the rest in the recording. */
  #at = 0;
  #spoiltFrom: number | undefined;

  /** @throws RecordingError where it is no recording at all, or one of another format */
  push(bytes: Uint8Array): Piece[] {
    const all = this.#rest.length === 0 ? bytes : joined(this.#rest, bytes);
    const pieces: Piece[] = [];
    let from = 0;
    for (;;) {
      const left = all.subarray(from);
      const found = this.#look(left, this.#at + from);
      if (found === "more") break;
      if (found === undefined) {
        this.#spoiltFrom ??= this.#at + from;
        from += Math.max(1, distanceOfNext(left));
        continue;
      }
      const at = this.#at + from;
      this.#endSpoilt(pieces, at);
      pieces.push({ type: "frame", ...found, at });
      from += FRAME_HEAD + found.payload.length;
    }
    this.#rest = all.slice(from);
    this.#at += from;
    return pieces;
  }

  /** There are no more bytes. @returns what was left of it that is no frame */
  end(): Piece[] {
    const pieces: Piece[] = [];
    // What looked like the beginning of a frame has no end: within it there may be one all the same.
    while (this.#rest.length > 0) {
      this.#spoiltFrom ??= this.#at;
      const skipped = Math.max(1, distanceOfNext(this.#rest));
      const rest = this.#rest.subarray(skipped);
      this.#at += skipped;
      this.#rest = new Uint8Array();
      pieces.push(...this.push(rest));
    }
    this.#endSpoilt(pieces, this.#at);
    return pieces;
  }

  #endSpoilt(pieces: Piece[], to: number): void {
    if (this.#spoiltFrom !== undefined && to > this.#spoiltFrom)
      pieces.push({ type: "spoilt", at: this.#spoiltFrom, bytes: to - this.#spoiltFrom });
    this.#spoiltFrom = undefined;
  }

  /** @returns undefined: no frame begins here; "more": that cannot be said yet */
  #look(bytes: Uint8Array, at: number): { kind: FrameKind; payload: Uint8Array } | undefined | "more" {
    if (bytes.length === 0) return "more";
    if (MAGIC.some((byte, index) => index < bytes.length && bytes[index] !== byte)) return noFrame(at);
    if (bytes.length < FRAME_HEAD) return "more";
    const format = bytes[3] as number;
    if (format !== FORMAT && at === 0)
      throw new RecordingError(
        `it is a recording of format ${format}, and this Subflow reads format ${FORMAT}: play it with the version that wrote it`,
      );
    const kind = KINDS[bytes[4] as number];
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const length = view.getUint32(5, true);
    if (format !== FORMAT || kind === undefined || length > FRAME_MAX) return undefined;
    if (bytes.length < FRAME_HEAD + length) return "more";
    const payload = bytes.subarray(FRAME_HEAD, FRAME_HEAD + length);
    if (crc32(payload, crc32(bytes.subarray(4, 9))) !== view.getUint32(9, true)) return undefined;
    return { kind, payload };
  }
}

/** What does not begin like a recording is none; later it may be spoilt. */
function noFrame(at: number): undefined {
  if (at === 0) throw new RecordingError("it is no recording of Subflow: `subflow record FILE` makes one");
  return undefined;
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const all = new Uint8Array(one.length + other.length);
  all.set(one);
  all.set(other, one.length);
  return all;
}

/** From the first byte to the next that a frame may begin with, as far as that can be seen. */
function distanceOfNext(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(MAGIC[0], 1); at >= 0; at = bytes.indexOf(MAGIC[0], at + 1)) {
    const isLike = MAGIC.every((byte, index) => at + index >= bytes.length || bytes[at + index] === byte);
    if (isLike) return at;
  }
  return bytes.length;
}
