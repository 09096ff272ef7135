import {
  type ConnectionPlan,
  type ConnectionView,
  count,
  duration,
  type Policy,
  type SubflowView,
  share,
  type Values,
  type Wanted,
} from "../engine/index.ts";
import { ENDPOINT_FLAG, type Millis, sameAddress } from "../types/index.ts";
import { admitted } from "./admitted.ts";
import { type Avoided, avoid, avoidedOf, isAvoided } from "./avoided.ts";
import { carriersOf, pathOf } from "./order.ts";
import { missing } from "./resilient.ts";

const PARAMETERS = {
  slower: count("a path whose round trip is so many times the quickest one's is made backup", 5, [2, 1000]),
  loss: share("so is a path that loses more than this share", 0.05, [0.01, 1]),
  hold_down: duration("for so long, doubled each further time", 10_000, [1000, 3_600_000]),
};

interface Memory {
  /** Since when paths are bad, by path. */
  readonly badSince: Readonly<Record<string, Millis>>;
  readonly avoided: readonly Avoided[];
}

/** Round trips that differ by less do not slow anything down, whatever their ratio. */
const DELAY_MIN: Millis = 40;
/** What carries more than this share of the fastest path is worth its delay. */
const WORTH = 0.25;
const USED_WITHIN: Millis = 2000;
/** A transfer that begins fills queues and loses much; that passes. */
const BAD_MIN: Millis = 2000;

/**
 * All paths carry. One that holds up the data behind it and carries little becomes backup for a while: of whoever sends, client or server, for only
 * the sender knows.
 */
export const aggregate: Policy<Memory, typeof PARAMETERS> = {
  name: "aggregate",
  about: "all paths carry; those that slow a transfer down are backup for a while",
  parameters: PARAMETERS,
  measures: 1000,
  begin: () => ({ badSince: {}, avoided: [] }),
  plan(view: ConnectionView, before, { type }, values): ConnectionPlan<Memory> {
    const kept = admitted(view);
    const memory = type === "measured" ? judge(view, kept, before, values) : before;
    const subflows = kept.map((keep): Wanted => {
      if (!avoidedOf(memory.avoided, keep)) return { keep };
      return { keep, backup: isAvoided(memory.avoided, keep, view) || isForBackup(view, keep) };
    });
    if (view.side === "client") for (const open of missing(view.pairs)) subflows.push({ open });
    return { subflows, memory };
  },
};

/** What is bad for long enough is avoided from now on. */
function judge(
  view: ConnectionView,
  kept: readonly SubflowView[],
  before: Memory,
  { slower, loss, hold_down: holdDown }: Values<typeof PARAMETERS>,
): Memory {
  const carriers = carriersOf(view, kept);
  const busy = carriers.filter((one) => isBusy(one, view));
  const rtt = Math.min(...busy.map(({ measured }) => measured?.rtt ?? 0));
  const rate = Math.max(...busy.map(rateOf));
  const isSlow = (one: SubflowView): boolean => (one.measured?.rtt ?? 0) >= Math.max(slower * rtt, rtt + DELAY_MIN);
  const badSince: Record<string, Millis> = {};
  let { avoided } = before;
  for (const one of carriers) {
    const known = before.badSince[pathOf(one)];
    // What is not used for a moment shows neither.
    if (known !== undefined && !one.backup && !busy.includes(one)) badSince[pathOf(one)] = known;
    const isBad = isSlow(one) || (one.losses?.share ?? 0) > loss;
    if (!busy.includes(one) || !isBad || rateOf(one) >= WORTH * rate) continue;
    const since = known ?? view.now;
    if (view.now - since >= BAD_MIN) avoided = avoid(avoided, one, view.now, holdDown);
    else badSince[pathOf(one)] = since;
  }
  return { badSince, avoided };
}

const rateOf = ({ measured }: SubflowView): number => measured?.deliveryRate ?? 0;

function isBusy({ backup, measured }: SubflowView, view: ConnectionView): boolean {
  return !backup && measured !== undefined && view.now - measured.usedAt < USED_WITHIN;
}

function isForBackup({ endpoints }: ConnectionView, { path }: SubflowView): boolean {
  const endpoint = endpoints.find(({ address }) => sameAddress(address, path.local.address));
  return endpoint !== undefined && (endpoint.flags & ENDPOINT_FLAG.backup) !== 0;
}
