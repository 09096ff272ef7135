import {
  type ConnectionPlan,
  type ConnectionView,
  duration,
  type PairView,
  type Policy,
  type SubflowView,
  type Values,
  type Wanted,
} from "../engine/index.ts";
import type { Millis } from "../types/index.ts";
import { admitted, keptBy } from "./admitted.ts";
import { type Avoided, avoid, avoidedOf, inUse, isAvoided } from "./avoided.ts";
import { carriersOf, isDoubtful, sparePairs } from "./order.ts";

const PARAMETERS = {
  above: duration("the path in use is left when its round trip takes longer", 100, [1, 60_000]),
  margin: duration("so much quicker must another be, and so far below the bound what is used again", 20, [0, 60_000]),
  hold_down: duration("how long a path that was left is avoided, doubled each further time", 5000, [1000, 3_600_000]),
};

interface Memory {
  /** Since when the path in use is above the bound; undefined: it is not. */
  readonly highSince: Millis | undefined;
  readonly avoided: readonly Avoided[];
}

/** Higher for a shorter time is no more than a queue that runs empty again. */
const HIGH_MIN: Millis = 400;
const NEVER: Millis = Number.POSITIVE_INFINITY;

/**
 * One path carries, the others are backup: the preferred one while its delay is within the bound, otherwise the quickest. What carries nothing has
 * the delay of its handshake, so a path that was left is opened anew before it is used again.
 */
export const interactive: Policy<Memory, typeof PARAMETERS> = {
  name: "interactive",
  about: "the preferred path carries while its delay is within a bound, otherwise the quickest; the others are backup",
  parameters: PARAMETERS,
  measures: 500,
  begin: () => ({ highSince: undefined, avoided: [] }),
  plan(view: ConnectionView, before, _occasion, values): ConnectionPlan<Memory> {
    if (view.side === "server") return keptBy(view);
    const kept = admitted(view);
    const carriers = carriersOf(view, kept);
    const current = inUse(view, carriers, before.avoided);
    const opens = sparePairs(view).map((open): Wanted => ({ open, backup: current !== undefined }));
    if (!current) return { subflows: [...kept.map((keep) => ({ keep })), ...opens] };
    const { carrier, memory } = decide(view, carriers, current, before, values);
    const keeps = kept.map((keep): Wanted => {
      const open = keep === carrier || !isDue(keep, memory, view) ? undefined : pairOf(view, keep);
      return open ? { open, backup: true } : { keep, backup: keep !== carrier };
    });
    return { subflows: [...keeps, ...opens], memory };
  },
};

/** Which one carries. */
function decide(
  view: ConnectionView,
  carriers: readonly SubflowView[],
  current: SubflowView,
  before: Memory,
  { above, margin, hold_down: holdDown }: Values<typeof PARAMETERS>,
): { readonly carrier: SubflowView; readonly memory: Memory } {
  const delay = (one: SubflowView): Millis => (isDoubtful(view, one) ? NEVER : (one.measured?.rtt ?? above));
  const { at = 0 } = current.measured ?? {};
  const highSince = delay(current) > above ? (before.highSince ?? at) : undefined;
  const isHigh = delay(current) === NEVER || (highSince !== undefined && at - highSince >= HIGH_MIN);
  const better = carriers.slice(0, carriers.indexOf(current));
  let { avoided } = before;
  const isRenewed = (one: SubflowView): boolean => (one.since ?? 0) >= (avoidedOf(avoided, one)?.until ?? 0);
  for (const one of better)
    if (avoidedOf(avoided, one) && isRenewed(one) && one.measured && delay(one) > above - margin)
      avoided = avoid(avoided, one, view.now, holdDown);
  const others = carriers.filter((one) => one !== current && !isAvoided(avoided, one, view));
  const quicker = others.filter((one) => delay(one) < delay(current) - margin);
  const isReady = (one: SubflowView): boolean =>
    isRenewed(one) && delay(one) <= above - margin && (one.since ?? 0) + holdDown <= view.now;
  const next = isHigh ? quicker.toSorted((a, b) => delay(a) - delay(b))[0] : better.find(isReady);
  if (!next) return { carrier: current, memory: { highSince, avoided } };
  if (isHigh) avoided = avoid(avoided, current, view.now, holdDown);
  return { carrier: next, memory: { highSince: undefined, avoided } };
}

/** It was left and its time is over: what its handshake takes now is to be seen. */
function isDue(one: SubflowView, { avoided }: Memory, { now }: ConnectionView): boolean {
  const entry = avoidedOf(avoided, one);
  return entry !== undefined && one.since !== undefined && entry.until <= now && one.since < entry.until;
}

function pairOf({ pairs }: ConnectionView, subflow: SubflowView): PairView | undefined {
  return pairs.find(({ subflows, blocked }) => blocked === "" && subflows.includes(subflow));
}
