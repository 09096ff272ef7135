import type { ConnectionView, SubflowView } from "../engine/index.ts";
import type { Millis } from "../types/index.ts";
import { pathOf } from "./order.ts";

/** A path that was found bad, until when it is avoided, and how often that was. */
export interface Avoided {
  readonly path: string;
  readonly until: Millis;
  readonly times: number;
}

const MAX: Millis = 300_000;
/** What has been well for so long is as if nothing had been. */
const FORGOTTEN_AFTER: Millis = 600_000;
const ENTRIES_MAX = 16;

/** With one more: avoided for so long, twice as long each further time, so that what is bad now and then is not tried without end. */
export function avoid(list: readonly Avoided[], bad: SubflowView, now: Millis, time: Millis): readonly Avoided[] {
  const path = pathOf(bad);
  const times = avoidedOf(list, bad)?.times ?? 0;
  const until = now + Math.min(Math.max(time, MAX), time * 2 ** times);
  const others = list.filter((each) => each.path !== path && now - each.until < FORGOTTEN_AFTER);
  return [...others.slice(-(ENTRIES_MAX - 1)), { path, until, times: times + 1 }];
}

/** What is remembered of its path; undefined: nothing bad. */
export function avoidedOf(list: readonly Avoided[], subflow: SubflowView): Avoided | undefined {
  return list.length === 0 ? undefined : list.find(({ path }) => path === pathOf(subflow));
}

/** Is its path avoided still? */
export function isAvoided(list: readonly Avoided[], subflow: SubflowView, view: ConnectionView): boolean {
  const entry = avoidedOf(list, subflow);
  return entry !== undefined && entry.until > view.now;
}

/** The one that carries; none did: the first that is not avoided. */
export function inUse(
  view: ConnectionView,
  carriers: readonly SubflowView[],
  list: readonly Avoided[],
): SubflowView | undefined {
  return carriers.find(({ backup }) => !backup) ?? carriers.find((one) => !isAvoided(list, one, view)) ?? carriers[0];
}
