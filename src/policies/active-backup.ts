import {
  type ConnectionPlan,
  type ConnectionView,
  duration,
  type PairView,
  type Policy,
  type SubflowView,
  type Wanted,
} from "../engine/index.ts";
import { type Millis, sameAddress } from "../types/index.ts";
import { admitted } from "./admitted.ts";

const PARAMETERS = {
  hold_down: duration("how long a better path must be there before it is used again", 5000, [0, 3_600_000]),
};

/**
 * One subflow carries the data, one from each other address is ready as backup. Preferred is the address that the connection began with, which
 * is what routing chose; then endpoints in their order, those for backup last.
 */
export const activeBackup: Policy<unknown, typeof PARAMETERS> = {
  name: "active-backup",
  about: "one subflow carries the data, one from each other address is ready as backup",
  parameters: PARAMETERS,
  plan(view: ConnectionView, _memory, _occasion, { hold_down: holdDown }): ConnectionPlan {
    const kept = admitted(view);
    if (view.side === "server") return { subflows: kept.map((keep) => ({ keep })) };
    const rank = ({ local }: PairView): number =>
      2 * Number(local.backup) + Number(!sameAddress(local.address, view.initial.local.address));
    const pairs = view.pairs.toSorted((a, b) => rank(a) - rank(b));
    const usable = pairs.flatMap((pair) => pair.subflows.filter(isUsable));
    const current = usable.find(({ backup }) => !backup);
    const failsBackAt = ({ since = view.now }: SubflowView): Millis => since + holdDown;
    const active = usable.find((one) => one === current || failsBackAt(one) <= view.now) ?? usable[0];
    const better = usable.slice(0, active ? usable.indexOf(active) : 0);
    const subflows = kept.map((keep): Wanted => (active ? { keep, backup: keep !== active } : { keep }));
    const used = new Set(pairs.filter((pair) => pair.subflows.length > 0).map(({ local }) => local.address));
    for (const open of pairs.toSorted((a, b) => (a.attempt?.failures ?? 0) - (b.attempt?.failures ?? 0))) {
      if (open.blocked !== "" || used.has(open.local.address)) continue;
      used.add(open.local.address);
      subflows.push({ open, backup: active !== undefined });
    }
    return { subflows, wakeAt: Math.min(...better.map(failsBackAt)) };
  },
};

function isUsable({ state, quarantinedUntil }: SubflowView): boolean {
  return state === "established" && quarantinedUntil === undefined;
}
