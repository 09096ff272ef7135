import {
  type ConnectionPlan,
  type ConnectionView,
  duration,
  type Policy,
  type SubflowView,
  type Wanted,
} from "../engine/index.ts";
import type { Millis } from "../types/index.ts";
import { admitted, keptBy } from "./admitted.ts";

const PARAMETERS = {
  every: duration("from one subflow that is opened anew to the next", 10_000, [1000, 3_600_000]),
};

/**
 * As many subflows as the limits allow, and the slowest of them is opened anew now and then: from another port, a network with several
 * ways (ECMP, bonded lines) may take another. Its memory: when it did so last.
 */
export const refresh: Policy<Millis, typeof PARAMETERS> = {
  name: "refresh",
  about: "as many subflows as the limits allow; the slowest is closed and opened from another port now and then",
  parameters: PARAMETERS,
  measures: 1000,
  begin: ({ now }) => now,
  plan(view: ConnectionView, last: Millis, { type }, { every }): ConnectionPlan<Millis> {
    if (view.side === "server") return keptBy(view);
    const kept = admitted(view);
    const isDue = type === "measured" && view.now - last >= every;
    const slowest = isDue ? slowestOf(kept, view.now) : undefined;
    const again = view.pairs.find(({ subflows, blocked }) => slowest && subflows.includes(slowest) && blocked === "");
    const subflows: Wanted[] = kept.filter((one) => !again || one !== slowest).map((keep) => ({ keep }));
    if (again) return { subflows: [...subflows, { open: again }], memory: view.now };
    // Those that have fewest first; several from one address differ by their ports.
    const pairs = view.pairs
      .filter((pair) => pair.blocked === "")
      .toSorted((a, b) => a.subflows.length - b.subflows.length);
    const room = Math.max(0, view.limits.subflows - view.extraSubflows);
    const opens = Array.from({ length: pairs.length ? room : 0 }, (_, nth) => pairs[nth % pairs.length]);
    return { subflows: [...subflows, ...opens.flatMap((open): Wanted[] => (open ? [{ open }] : []))] };
  },
};

/** The slowest of those that carry data, where another is at least twice as fast. */
function slowestOf(subflows: readonly SubflowView[], now: Millis): SubflowView | undefined {
  const rate = ({ measured }: SubflowView): number => measured?.deliveryRate ?? 0;
  const busy = subflows.filter(({ initiated, measured }) => initiated && measured && now - measured.usedAt < 2000);
  const [slowest, ...others] = busy.toSorted((a, b) => rate(a) - rate(b));
  return slowest && others.some((other) => rate(other) >= 2 * rate(slowest)) ? slowest : undefined;
}
