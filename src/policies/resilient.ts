import type {
  ConnectionPlan,
  ConnectionView,
  LeftOut,
  PairView,
  Policy,
  SubflowView,
  Wanted,
} from "../engine/index.ts";
import type { AddressId } from "../types/index.ts";
import { admitted, keptBy } from "./admitted.ts";
import { announced } from "./announced.ts";

/**
 * No single address, link or path, of either host, is in all subflows: the client first covers each local and each remote address with
 * as few subflows as that takes, then adds pairs as far as the limits allow, those of little used addresses first. Servers announce,
 * and let clients connect.
 */
export const resilient: Policy = {
  name: "resilient",
  about: "no single address, link or path of either host is in all subflows; the default",
  plan(view: ConnectionView): ConnectionPlan {
    if (view.side === "server") return { ...keptBy(view), announcements: announced(view) };
    const { pairs } = view;
    const kept = admitted(view);
    const wanted = missing(pairs);
    const { spared, instead, wakeAt } = makeRoom(view, pairs, kept, wanted);
    const keeps: Wanted[] = kept.filter((subflow) => subflow !== spared).map((keep) => ({ keep }));
    // The place is for the one that it was made for.
    const opens = instead ? [instead, ...wanted.filter((pair) => pair !== instead)] : wanted;
    return { subflows: [...keeps, ...opens.map((open) => ({ open }))], wakeAt };
  },
  explain({ side, pairs }: ConnectionView): readonly LeftOut[] {
    if (side === "client") return [];
    const why = { reason: "servers announce, clients connect", remedy: "nothing needs to be done" };
    return pairs.map(({ local, remote }): LeftOut => {
      return { what: "pair", id: local.endpoint, address: local.address, remote: remote.address, ...why };
    });
  },
};

/** The pairs without a subflow, most wanted first: those whose addresses are in no other, then those of little used addresses. */
export function missing(pairs: readonly PairView[]): readonly PairView[] {
  const uses = new Uses(pairs);
  const left = pairs.filter((pair) => pair.subflows.length === 0 && pair.blocked === "");
  const ordered: PairView[] = [];
  while (left.length > 0) {
    const next = left.reduce((best, pair) => (uses.rank(pair) < uses.rank(best) ? pair : best));
    left.splice(left.indexOf(next), 1);
    ordered.push(next);
    uses.add(next);
  }
  return ordered;
}

/**
 * Where the limit is reached and an address is in no subflow, one goes whose addresses are in others as well: addresses that the peer
 * announces come one by one, when there are extra pairs already.
 */
function makeRoom(
  view: ConnectionView,
  pairs: readonly PairView[],
  kept: readonly SubflowView[],
  wanted: readonly PairView[],
): { readonly spared?: SubflowView; readonly instead?: PairView; readonly wakeAt?: number } {
  if (view.extraSubflows < view.limits.subflows) return {};
  const uses = new Uses(pairs);
  let wakeAt = Number.POSITIVE_INFINITY;
  for (const pair of wanted) {
    if (!uses.isNew(pair) || !uses.isAcceptable(pair, view)) continue;
    // One that cannot be had for now is no reason to give up what there is.
    const retryAt = pair.attempt?.retryAt ?? 0;
    const dispensable = pairs.find((other) => uses.isDispensable(other, pair));
    const spared = kept.find((subflow) => dispensable?.subflows.includes(subflow));
    if (spared && retryAt <= view.now) return { spared, instead: pair };
    if (spared) wakeAt = Math.min(wakeAt, Math.max(retryAt, view.now + 1000));
  }
  return { wakeAt };
}

/** How many subflows each address has, those that are planned included. */
class Uses {
  readonly #local = new Map<AddressId, number>();
  readonly #remote = new Map<AddressId, number>();

  constructor(pairs: readonly PairView[]) {
    for (const pair of pairs) for (const _subflow of pair.subflows) this.add(pair);
  }

  /** One of its addresses is in no subflow. */
  isNew(pair: PairView): boolean {
    return this.#of(pair).includes(0);
  }

  /** The limit of announcements that may lead to subflows allows it. */
  isAcceptable({ remote: { id } }: PairView, { limits }: ConnectionView): boolean {
    const answered = [...this.#remote.keys()].filter((known) => known > 0);
    return id === 0 || answered.includes(id) || answered.length < limits.addAddrAccepted;
  }

  /** Its addresses are in other subflows, or in the one that is to take its place. */
  isDispensable(pair: PairView, other: PairView): boolean {
    const [here = 0, there = 0] = this.#of(pair);
    const isLocal = here > 1 || pair.local.endpoint === other.local.endpoint;
    const isRemote = there > 1 || pair.remote.id === other.remote.id;
    return isLocal && isRemote && pair.subflows.some(({ join, state }) => join && state === "established");
  }

  add({ local, remote }: PairView): void {
    this.#local.set(local.endpoint, (this.#local.get(local.endpoint) ?? 0) + 1);
    this.#remote.set(remote.id, (this.#remote.get(remote.id) ?? 0) + 1);
  }

  /** The lower, the more is gained: two addresses that nothing uses, one, none; then those that fewest use, and that failed least. */
  rank(pair: PairView): number {
    const [here = 0, there = 0] = this.#of(pair);
    const covered = Number(here > 0) + Number(there > 0);
    return covered * 1e6 + (here + there) * 1e3 + Math.min(pair.attempt?.failures ?? 0, 999);
  }

  #of({ local, remote }: PairView): readonly number[] {
    return [this.#local.get(local.endpoint) ?? 0, this.#remote.get(remote.id) ?? 0];
  }
}
