import { quantity } from "../../engine/index.ts";
import type { Millis } from "../../types/index.ts";
import { wrongArgument } from "../failure.ts";

/** A year and a day: no ring goes back as far. */
const MAX: Millis = 366 * 24 * 3_600_000;

/** "30s", "5m", "2h" on a command line. */
export function durationOf(text: string): Millis {
  const duration = quantity("duration", text.replace(/(\d)m$/, "$1min"));
  if (duration === undefined || duration <= 0 || duration > MAX)
    throw wrongArgument(text, 'a time is "30s", "5m" or "2h"');
  return duration;
}
