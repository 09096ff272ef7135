import type { Millis } from "../types/index.ts";
import { duration, type Parameter, parseValue, quantity } from "./parameters.ts";

/**
 * From when on a connection gets further subflows: when it is so old, or has carried so many bytes (to and fro, acknowledged), whichever comes
 * first. What is undefined says nothing; neither: at once.
 */
export interface Delay {
  readonly age?: Millis | undefined;
  readonly bytes?: number | undefined;
}

/** At once. */
export const NO_DELAY: Delay = Object.freeze({});

/** Longer than that no connection waits for its second subflow, and what carries so much is no short request. */
const AGE = duration("", 0, [0, 3_600_000]);
const BYTES = { type: "bytes", about: "", default: 0, min: 1, max: 1e12 } as const satisfies Parameter;

/** Largest first. */
const AMOUNTS = [
  ["GB", 1e9],
  ["MB", 1e6],
  ["kB", 1e3],
] as const;

/** "500ms", "64kB", or "64kB or 500ms". @param written as it stands in YAML or on a command line */
export function parseDelay(written: unknown): { readonly delay: Delay } | { readonly fault: string } {
  let delay: Delay = NO_DELAY;
  for (const part of String(written)
    .trim()
    .split(/\s+or\s+/)) {
    // A number alone is a time, which needs a unit: nobody is to write 500 and wait for so many bytes.
    const isAmount = /[A-Za-z]$/.test(part) && quantity("bytes", part) !== undefined;
    const key = isAmount ? "bytes" : "age";
    const parsed = parseValue(isAmount ? BYTES : AGE, part);
    if ("fault" in parsed) {
      const isNeither = !isAmount && quantity("duration", part) === undefined;
      const fault = `${JSON.stringify(part)} is neither a time as "500ms" nor an amount as "64kB", nor both with "or" between`;
      return { fault: isNeither ? fault : parsed.fault };
    }
    if (delay[key] !== undefined)
      return { fault: `${JSON.stringify(written)} has two of a kind: one time, one amount` };
    delay = { ...delay, [key]: Number(parsed.value) };
  }
  return { delay: delay.age === 0 ? NO_DELAY : delay };
}

/** 64000 → "64kB", 63999 → "63.9kB": never more than there is. */
export function formatBytes(bytes: number): string {
  const [unit, factor] = AMOUNTS.find(([, size]) => bytes >= size) ?? ["B", 1];
  return `${Math.floor((bytes / factor) * 10 + 1e-6) / 10}${unit}`;
}

/** Both wait for the same. */
export function sameDelay(one: Delay, other: Delay): boolean {
  return one.age === other.age && one.bytes === other.bytes;
}
