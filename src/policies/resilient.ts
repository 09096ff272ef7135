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

/**
 * No single address, link or path, of either host, is in all subflows: the client first covers each local and each remote address with
 * as few subflows as that takes, then adds pairs as far as the limits allow, those of little used addresses first. Servers announce,
 * and let clients connect.
 */
export const resilient: Policy = {
  name: "resilient",
  plan(view: ConnectionView): ConnectionPlan {
    const kept = admitted(view);
    const subflows: Wanted[] = kept.map((keep) => ({ keep }));
    if (view.side === "client") for (const open of missing(view)) subflows.push({ open });
    return { subflows };
  },
  explain({ side, pairs }: ConnectionView): readonly LeftOut[] {
    if (side === "client") return [];
    const why = { reason: "servers announce, clients connect", remedy: "nothing needs to be done" };
    return pairs.map(({ local, remote }): LeftOut => {
      return { what: "pair", id: local.endpoint, address: local.address, remote: remote.address, ...why };
    });
  },
};

/** What is there stays; a join of the peer's that is one too many is turned down. */
function admitted({ subflows, extraSubflows, limits }: ConnectionView): readonly SubflowView[] {
  let excess = extraSubflows - limits.subflows;
  return subflows
    .toReversed()
    .filter(({ state }) => state !== "closing" && !(state === "arrived" && excess-- > 0))
    .reverse();
}

/** The pairs without a subflow, most wanted first. */
function missing({ pairs }: ConnectionView): readonly PairView[] {
  const uses = new Uses();
  for (const pair of pairs) for (const _subflow of pair.subflows) uses.add(pair);
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

/** How many subflows each address has, those that are planned included. */
class Uses {
  readonly #local = new Map<AddressId, number>();
  readonly #remote = new Map<AddressId, number>();

  add({ local, remote }: PairView): void {
    this.#local.set(local.endpoint, (this.#local.get(local.endpoint) ?? 0) + 1);
    this.#remote.set(remote.id, (this.#remote.get(remote.id) ?? 0) + 1);
  }

  /** The lower, the more is gained: two addresses that nothing uses, one, none; then those that fewest use, and that failed least. */
  rank({ local, remote, attempt }: PairView): number {
    const [here, there] = [this.#local.get(local.endpoint) ?? 0, this.#remote.get(remote.id) ?? 0];
    const covered = Number(here > 0) + Number(there > 0);
    return covered * 1e6 + (here + there) * 1e3 + Math.min(attempt?.failures ?? 0, 999);
  }
}
