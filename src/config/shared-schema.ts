import * as v from "valibot";
import { duration, parseValue } from "../engine/index.ts";
import type { Millis } from "../types/index.ts";

/** A whole number between bounds. */
export const count = (what: string, min: number, max: number) =>
  v.pipe(
    v.number(`${what} is a number`),
    v.integer(`${what} is a whole number`),
    v.minValue(min, `${what} is at least ${min}`),
    v.maxValue(max, `${what} is at most ${max}`),
  );

/** Of subflows or announcements. */
export const limit = (what: string) =>
  v.optional(v.union([count(what, 0, 64), v.literal("auto")], `${what} is a number or auto`));

/** Longer than that no connection waits for its second subflow. */
const DELAY = duration("", 0, [0, 3_600_000]);
/** How old connections must be. */
export const delay = v.optional(
  v.pipe(
    v.union([v.string(), v.number()], "a time"),
    v.rawCheck(({ dataset, addIssue }) => {
      const parsed = dataset.typed ? parseValue(DELAY, dataset.value) : undefined;
      if (parsed && "fault" in parsed) addIssue({ message: parsed.fault });
    }),
    v.description("no subflow is opened before a connection is so old: 500ms"),
  ),
);

/** "500ms" → 500; nothing → 0. */
export function delayOf(written: string | number | undefined): Millis {
  const parsed = written === undefined ? undefined : parseValue(DELAY, written);
  return parsed && "value" in parsed ? Number(parsed.value) : 0;
}
