import type { Random } from "../../src/sim/index.ts";

/** Longer inputs find nothing that shorter ones do not, and cost time. */
const LENGTH_MAX = 1200;
/** Numbers at which lengths, counts and flags turn over. */
const EDGES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 254, 255];

/** An input a little, or much, unlike another one; pieces may come from `others`. */
export function mutate(
  bytes: Uint8Array,
  others: readonly Uint8Array[],
  words: readonly string[],
  random: Random,
): Uint8Array {
  let result: Uint8Array = Uint8Array.from(bytes);
  const rounds = 1 + random.below(random.chance(0.2) ? 16 : 4);
  for (let round = 0; round < rounds; round++) result = random.pick(WAYS)(result, { others, words, random });
  return result.subarray(0, LENGTH_MAX);
}

interface Means {
  readonly others: readonly Uint8Array[];
  /** What means something in the language of the input. */
  readonly words: readonly string[];
  readonly random: Random;
}

type Way = (bytes: Uint8Array, means: Means) => Uint8Array;

const WAYS: readonly Way[] = [
  (bytes, { random }) => changed(bytes, random, (byte) => byte ^ (1 << random.below(8))),
  (bytes, { random }) => changed(bytes, random, () => random.below(256)),
  (bytes, { random }) => changed(bytes, random, () => random.pick(EDGES)),
  (bytes, { random }) => changed(bytes, random, (byte) => byte + random.pick([-1, 1, -4, 4])),
  // What means something is often two or four bytes long.
  (bytes, { random }) => {
    const at = random.below(bytes.length + 1) & ~3;
    return spliced(
      bytes,
      at,
      4,
      Uint8Array.from({ length: 4 }, () => (random.chance(0.6) ? 0 : random.pick(EDGES))),
    );
  },
  (bytes, { random }) => bytes.slice(0, random.below(bytes.length + 1)),
  (bytes, { random }) => spliced(bytes, random.below(bytes.length + 1), random.below(9), NOTHING),
  (bytes, { random }) => spliced(bytes, random.below(bytes.length + 1), 0, noise(random, 1 + random.below(8))),
  (bytes, { random }) => spliced(bytes, random.below(bytes.length + 1), 0, piece(bytes, random)),
  (bytes, { others, random }) =>
    others.length === 0
      ? bytes
      : spliced(bytes, random.below(bytes.length + 1), random.below(9), piece(random.pick(others), random)),
  (bytes, { words, random }) =>
    words.length === 0
      ? bytes
      : spliced(bytes, random.below(bytes.length + 1), random.below(6), Buffer.from(random.pick(words))),
];

const NOTHING = new Uint8Array(0);

function changed(bytes: Uint8Array, random: Random, become: (byte: number) => number): Uint8Array {
  const at = random.below(bytes.length);
  if (bytes.length > 0) bytes[at] = become(bytes[at] ?? 0);
  return bytes;
}

function spliced(bytes: Uint8Array, at: number, removed: number, put: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + removed)]);
}

function noise(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}

function piece(bytes: Uint8Array, random: Random): Uint8Array {
  const from = random.below(bytes.length + 1);
  return bytes.slice(from, from + 1 + random.below(40));
}
