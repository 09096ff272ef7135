import {
  type ConnectionPlan,
  type ConnectionView,
  duration,
  type Policy,
  type SubflowView,
  share,
  signal,
} from "../engine/index.ts";
import type { Millis } from "../types/index.ts";
import { keptBy } from "./admitted.ts";
import { isDoubtful } from "./order.ts";
import { FIRST_TURN, succession, type Turn } from "./succession.ts";
import { boundsFor, weakness, weaknessText } from "./wifi.ts";

const PARAMETERS = {
  loss: share("a path that loses more than this share is left", 0.1, [0.01, 1]),
  signal: signal("a Wi-Fi path whose signal is below this is left", -80, [-100, -20]),
  hold_down: duration("how long a path that was left is avoided, doubled each further time", 10_000, [1000, 3_600_000]),
};

/**
 * One path at a time: the next is made when the one in use degrades, and closed when that was well again for a while. For radios that cost battery or
 * money while they have a subflow.
 */
export const handover: Policy<Turn, typeof PARAMETERS> = {
  name: "handover",
  about: "one path at a time; the next is opened when it degrades, and the data move there",
  parameters: PARAMETERS,
  measures: 1000,
  signalsWith: ({ signal: bound }) => boundsFor(bound),
  begin: () => FIRST_TURN,
  plan(view: ConnectionView, turn, _occasion, { loss, signal: bound, hold_down: holdDown }): ConnectionPlan<Turn> {
    if (view.side === "server") return keptBy(view);
    // What it lost before it was left says nothing of how it is when it is tried again.
    const isLossy = ({ losses }: SubflowView, since: Millis): boolean =>
      losses !== undefined && losses.at > since && losses.share > loss;
    const isBad = (subflow: SubflowView, since: Millis): boolean =>
      isDoubtful(view, subflow) || isLossy(subflow, since);
    return succession(view, turn, { holdDown, isLazy: true, isBad, weakness: weakness(view, bound) });
  },
  objection: (view, local, { signal: bound }) => (view.side === "server" ? "" : weaknessText(view, local, bound)),
};
