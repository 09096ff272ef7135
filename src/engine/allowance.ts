import type { Millis } from "../types/index.ts";

/** How much of something may still be done: so much at once, and so much more each second. */
export interface Allowance {
  left: number;
  at: Millis;
}

/** What {@link takeOne} keeps to. */
export interface Pace {
  readonly burst: number;
  readonly perSecond: number;
}

/** Takes one off, if one is left. @returns the allowance to be kept, and whether there was one */
export function takeOne(
  before: Allowance | undefined,
  { burst, perSecond }: Pace,
  now: Millis,
): Allowance & { readonly granted: boolean } {
  const left = before ? Math.min(burst, before.left + ((now - before.at) / 1000) * perSecond) : burst;
  const granted = left >= 1;
  return { left: granted ? left - 1 : left, at: now, granted };
}
