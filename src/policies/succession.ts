import type { ConnectionPlan, ConnectionView, PairView, SubflowView, Wanted } from "../engine/index.ts";
import type { Address, Millis } from "../types/index.ts";
import { admitted } from "./admitted.ts";
import { type Avoided, avoid, avoidedOf, inUse, isAvoided } from "./avoided.ts";
import { carriersOf, placeOf, soonest, sparePairs } from "./order.ts";

/*
 * For policies by which one subflow carries the data and the next in order takes its place. Which one carries is told by who is backup; what
 * else must be remembered is a turn.
 */

/** Since when the one that carries does so (0: from the beginning), and what was left because it was bad. */
export interface Turn {
  readonly since: Millis;
  readonly avoided: readonly Avoided[];
}

export const FIRST_TURN: Turn = { since: 0, avoided: [] };

/** Paths that still carry, but may soon carry nothing. */
export interface Weakness {
  /** Should it carry no more, if there is a stronger one? */
  isWeak(subflow: SubflowView): boolean;
  /** Is it no use to go back there? */
  isWeakStill(local: Address): boolean;
  /** Is a path from there so much stronger, or of another kind? */
  isWorthIt(local: Address, current: SubflowView): boolean;
}

export interface SuccessionOptions {
  /** So long must what is preferred have been there, and so long at least is what was left avoided. */
  readonly holdDown: Millis;
  /** The others are opened when they are needed only, and closed when they were not needed for as long as `holdDown`. */
  readonly isLazy: boolean;
  /** Should it carry no more, if another can? By what was seen since then. */
  isBad(subflow: SubflowView, since: Millis): boolean;
  /** Absent: nothing is known to be weak. */
  readonly weakness?: Weakness | undefined;
}

/** The plan of a client. */
export function succession(view: ConnectionView, before: Turn, options: SuccessionOptions): ConnectionPlan<Turn> {
  const kept = admitted(view);
  const carriers = carriersOf(view, kept);
  const current = inUse(view, carriers, before.avoided);
  if (!current) return { subflows: [...kept.map((keep) => ({ keep })), ...sparePairs(view).map((open) => ({ open }))] };
  const { weakness } = options;
  const isBad = options.isBad(current, before.since);
  // What is bad is left for anything; what is weak, only for what is not.
  const left = isBad || weakness?.isWeak(current) ? (isBad ? ANY : weakness) : undefined;
  const returnsAt = (one: SubflowView): Millis => {
    const avoidedUntil = avoidedOf(before.avoided, one)?.until ?? 0;
    // What was on its way when it was left is sent again there: only a trial tells how it is by now.
    const isBadStill = options.isBad(one, Math.max(before.since, avoidedUntil));
    if (isBadStill || weakness?.isWeakStill(one.path.local.address)) return Number.POSITIVE_INFINITY;
    return Math.max((one.since ?? 0) + options.holdDown, avoidedUntil);
  };
  const isWorthIt = (local: Address): boolean => left?.isWorthIt(local, current) ?? false;
  const next = left
    ? successor(carriers, current, (one) => !isAvoided(before.avoided, one, view) && isWorthIt(one.path.local.address))
    : carriers.find((one) => one === current || returnsAt(one) <= view.now);
  const carrier = next ?? current;
  const turn = carrier === current ? before : turnFrom(view, before, left ? current : undefined, options);
  const isInNeed = left !== undefined && carrier === current;
  const isNeeded = ({ local: { address } }: PairView): boolean =>
    isInNeed
      ? isWorthIt(address)
      : placeOf(view, address) < placeOf(view, carrier.path.local.address) && !weakness?.isWeakStill(address);
  const { needed, spared, wakeAt } = others(view, carriers, { carrier, turn, isInNeed, isNeeded }, options);
  const keeps = kept.filter((keep) => !spared.has(keep)).map((keep): Wanted => ({ keep, backup: keep !== carrier }));
  const opens = needed.map((open): Wanted => ({ open, backup: true }));
  const returns = carriers.slice(0, carriers.indexOf(carrier)).map(returnsAt);
  return { subflows: [...keeps, ...opens], memory: turn, wakeAt: soonest(view, [...returns, wakeAt]) };
}

/** Of what is bad: whatever else there is. */
const ANY: Pick<Weakness, "isWorthIt"> = { isWorthIt: () => true };

/** The next in order, and one before only where none is left. */
function successor(
  carriers: readonly SubflowView[],
  current: SubflowView,
  isIn: (one: SubflowView) => boolean,
): SubflowView | undefined {
  const at = carriers.indexOf(current);
  return [...carriers.slice(at + 1), ...carriers.slice(0, at)].find(isIn);
}

/** Another carries from now on. */
function turnFrom(
  { now }: ConnectionView,
  { avoided }: Turn,
  bad: SubflowView | undefined,
  { holdDown }: SuccessionOptions,
): Turn {
  return { since: now, avoided: bad ? avoid(avoided, bad, now, holdDown) : avoided };
}

interface Present {
  readonly carrier: SubflowView;
  readonly turn: Turn;
  /** It is bad or weak, and nothing else is there. */
  readonly isInNeed: boolean;
  /** Of what could be opened. */
  readonly isNeeded: (pair: PairView) => boolean;
}

/** What is to be opened beside the one that carries, and which of the others are not needed any more. */
function others(
  view: ConnectionView,
  carriers: readonly SubflowView[],
  { carrier, turn, isInNeed, isNeeded }: Present,
  { isLazy, holdDown }: SuccessionOptions,
): { needed: readonly PairView[]; spared: ReadonlySet<SubflowView>; wakeAt: Millis } {
  const spared = new Set<SubflowView>();
  const spare = sparePairs(view);
  let wakeAt = Number.POSITIVE_INFINITY;
  if (!isLazy) return { needed: spare, spared, wakeAt };
  const needed = spare.filter(isNeeded);
  for (const one of isInNeed ? [] : carriers.slice(carriers.indexOf(carrier) + 1)) {
    if (!one.join || !one.initiated) continue;
    const at = Math.max(one.since ?? 0, turn.since) + holdDown;
    if (at <= view.now) spared.add(one);
    else wakeAt = Math.min(wakeAt, at);
  }
  return { needed, spared, wakeAt };
}
