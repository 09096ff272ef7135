import * as v from "valibot";
import { type Delay, NO_DELAY, parseDelay } from "../engine/index.ts";

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

/** How old connections must be, or what they must have carried. */
export const delay = v.optional(
  v.pipe(
    v.union([v.string(), v.number()], 'a time as "500ms", an amount as "64kB", or both with "or" between'),
    v.rawCheck(({ dataset, addIssue }) => {
      const parsed = dataset.typed ? parseDelay(dataset.value) : undefined;
      if (parsed && "fault" in parsed) addIssue({ message: parsed.fault });
    }),
    v.description(
      "no subflow is opened before a connection is so old, or has carried so much: 500ms, 64kB, 64kB or 500ms",
    ),
  ),
);

/** "64kB or 500ms" as the engine takes it; nothing: none. */
export function delayOf(written: string | number | undefined): Delay {
  const parsed = written === undefined ? undefined : parseDelay(written);
  return parsed && "delay" in parsed ? parsed.delay : NO_DELAY;
}
