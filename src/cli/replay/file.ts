import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { type Damage, type Entry, RecordingReader } from "../../recording/index.ts";
import { failure } from "../failure.ts";

/** Bytes of one read: a recording is never in memory as a whole. */
const PIECE = 1024 * 1024;
/** Larger files are no recordings that somebody meant to play. */
const SIZE_MAX = 2 * 1024 ** 3;

/** The entries of a recording, one by one. @throws RecordingError, or the error of open(2) */
export function* entriesOf(
  file: string,
  { allowsEmpty = false }: { readonly allowsEmpty?: boolean } = {},
): Generator<Entry | Damage> {
  const fd = openSync(file, "r");
  try {
    const stats = fstatSync(fd);
    if (stats.isDirectory()) throw failure(`Error: ${file} is a directory: name a recording.`);
    if (stats.size > SIZE_MAX) throw failure(`Error: ${file} is larger than 2 GiB: play a part of it.`);
    const reader = new RecordingReader();
    let left = SIZE_MAX;
    let isEmpty = true;
    for (;;) {
      const piece = Buffer.allocUnsafe(PIECE);
      const length = readSync(fd, piece, 0, PIECE, null);
      if (length === 0) break;
      isEmpty = false;
      left -= length;
      if (left < 0) throw failure(`Error: ${file} does not end: 2 GiB were read.`);
      yield* reader.push(piece.subarray(0, length));
    }
    if (isEmpty && !allowsEmpty) throw failure(`Error: ${file} is empty: nothing was recorded.`);
    yield* reader.end();
  } finally {
    closeSync(fd);
  }
}
