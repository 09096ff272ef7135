import {
  type ConnectionPlan,
  type ConnectionView,
  duration,
  type Policy,
  rate,
  type SubflowView,
  type Wanted,
} from "../engine/index.ts";
import type { Millis } from "../types/index.ts";
import { admitted, keptBy } from "./admitted.ts";
import { carriersOf, soonest, sparePairs } from "./order.ts";

const PARAMETERS = {
  joins: duration("the next path joins when those in use were full for so long", 1000, [0, 60_000]),
  leaves: duration("it leaves when they could carry everything without it for so long", 5000, [1000, 3_600_000]),
  full: rate("what a path carries at most, either way; 0: it is seen when what is sent piles up", 0, [0, 125e9]),
  hold_down: duration("how long a better path must be there before it is used again", 5000, [0, 3_600_000]),
};

interface Memory {
  /** What the first so many carried when they were full, in bytes a second: as many as carry together with one more. */
  readonly capacities: readonly number[];
  /** Since when those in use are full, or one too many; undefined: not so. */
  readonly fullSince: Millis | undefined;
  readonly idleSince: Millis | undefined;
  /** Bytes of both ways, and what they were a second of late. */
  readonly bytes: number;
  readonly at: Millis;
  readonly rate: number;
}

const BEGIN: Memory = { capacities: [], fullSince: undefined, idleSince: undefined, bytes: 0, at: 0, rate: 0 };
/** From one figure of the rate to the next. */
const RATE_WINDOW: Millis = 500;
/** From where on a path counts as full (headers take some of it), and up to where the others could do without one. */
const FULL = 0.85;
const SPARE = 0.7;

/** Overflow: the first path carries alone until it is full; then the next joins, and leaves when it is not needed any more. */
export const priority: Policy<Memory, typeof PARAMETERS> = {
  name: "priority",
  about: "the first path carries alone until it is full, then the next joins, and leaves again",
  parameters: PARAMETERS,
  measures: 500,
  begin: () => BEGIN,
  plan(view: ConnectionView, before, { type }, values): ConnectionPlan<Memory> {
    if (view.side === "server") return keptBy(view);
    const kept = admitted(view);
    const memory = type === "measured" ? judge(view, kept, before, values) : before;
    const carriers = carriersOf(view, kept);
    // What has just come waits until it has lasted, unless there is nothing else.
    const returnsAt = ({ since = 0 }: SubflowView): Millis => since + values.hold_down;
    const isSettled = (one: SubflowView): boolean => !one.backup || returnsAt(one) <= view.now;
    const settled = carriers.length > 1 ? carriers.filter(isSettled) : carriers;
    const order = [...settled, ...carriers.filter((one) => !settled.includes(one))];
    const active = new Set(order.slice(0, memory.capacities.length + 1));
    const subflows = kept.map((keep): Wanted => (active.size > 0 ? { keep, backup: !active.has(keep) } : { keep }));
    for (const open of sparePairs(view)) subflows.push({ open, backup: active.size > 0 });
    return { subflows, memory, wakeAt: soonest(view, carriers.filter((one) => !isSettled(one)).map(returnsAt)) };
  },
};

/** How many are needed, by what they carry. */
function judge(
  view: ConnectionView,
  kept: readonly SubflowView[],
  before: Memory,
  { joins, leaves, full }: { readonly joins: Millis; readonly leaves: Millis; readonly full: number },
): Memory {
  const { now } = view;
  const memory = measure(kept, before, now);
  const { capacities, rate: current } = memory;
  const isFull = view.isFull || (full > 0 && current >= FULL * full * (capacities.length + 1));
  const fullSince = isFull ? (before.fullSince ?? now) : undefined;
  const isTooMany = !isFull && capacities.length > 0 && current <= SPARE * (capacities.at(-1) ?? 0);
  const idleSince = isTooMany ? (before.idleSince ?? now) : undefined;
  const again = { ...memory, fullSince: undefined, idleSince: undefined };
  if (fullSince !== undefined && now - fullSince >= joins && capacities.length + 1 < carriersOf(view, kept).length)
    return { ...again, capacities: [...capacities, current] };
  if (idleSince !== undefined && now - idleSince >= leaves) return { ...again, capacities: capacities.slice(0, -1) };
  return { ...memory, fullSince, idleSince };
}

function measure(kept: readonly SubflowView[], before: Memory, now: Millis): Memory {
  if (now - before.at < RATE_WINDOW) return before;
  let bytes = 0;
  for (const { measured } of kept) bytes += (measured?.bytesAcked ?? 0) + (measured?.bytesReceived ?? 0);
  // Where a subflow is gone there is less than before, which says nothing.
  const isComparable = before.at > 0 && bytes >= before.bytes;
  const rate = isComparable ? ((bytes - before.bytes) * 1000) / (now - before.at) : before.rate;
  return { ...before, bytes, at: now, rate };
}
