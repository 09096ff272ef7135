import {
  type ConnectionPlan,
  type ConnectionView,
  type PairView,
  type Policy,
  type SubflowView,
  toggle,
  type Wanted,
} from "../engine/index.ts";
import { sameAddress } from "../types/index.ts";
import { admitted, keptBy } from "./admitted.ts";

const PARAMETERS = {
  wrap: toggle("an address without a counterpart, or whose pair fails, is paired with the least used one", true),
};

/**
 * The address that the connection began with is the first, then endpoints in their order; of the peer's those that it announces, by their ids.
 * Where hosts are joined by networks that do not meet, no other pair would work.
 */
export const oneToOne: Policy<unknown, typeof PARAMETERS> = {
  name: "one-to-one",
  about: "the first address with the peer's first, the second with its second, and so on",
  parameters: PARAMETERS,
  plan(view: ConnectionView, _memory, _occasion, { wrap }): ConnectionPlan {
    if (view.side === "server") return keptBy(view);
    const chosen = choose(inOrder(view), wrap);
    const wanted = new Set(chosen.map(({ subflows }) => subflows[0]));
    const paired = view.pairs.flatMap(({ subflows }) => subflows);
    // What the peer opened, or from what is no endpoint, is not ours to pair.
    const isOther = (subflow: SubflowView): boolean => subflow.join && subflow.initiated && paired.includes(subflow);
    const keeps = admitted(view).filter((subflow) => wanted.has(subflow) || !isOther(subflow));
    const opens = chosen.filter((pair) => pair.subflows.length === 0 && !isClosing(view, pair));
    return { subflows: [...keeps.map((keep): Wanted => ({ keep })), ...opens.map((open): Wanted => ({ open }))] };
  },
};

/** What is to go stays until its place is taken; perhaps for good. */
function isClosing({ subflows }: ConnectionView, { local, remote }: PairView): boolean {
  return subflows.some(
    ({ state, path }) =>
      state === "closing" &&
      sameAddress(path.local.address, local.address) &&
      sameAddress(path.remote.address, remote.address),
  );
}

/** Pairs that can be, with how far their places in the two orders are apart; the nearest first. */
function inOrder({ pairs, initial }: ConnectionView): readonly PairView[] {
  const isFirst = ({ local }: PairView): boolean => sameAddress(local.address, initial.local.address);
  const locals = [...new Set([...pairs.filter(isFirst), ...pairs].map(({ local }) => local.endpoint))];
  const remotes = [...new Set(pairs.map(({ remote }) => remote.id))].sort((a, b) => a - b);
  const distance = ({ local, remote }: PairView): number =>
    Math.abs(locals.indexOf(local.endpoint) - remotes.indexOf(remote.id));
  return pairs.filter(({ blocked }) => blocked === "").sort((a, b) => distance(a) - distance(b));
}

/** Those of which both addresses are free; then, where there are such, for each address that is left over one with the least used of the others. */
function choose(pairs: readonly PairView[], wrap: boolean): readonly PairView[] {
  const once = new Uses();
  const chosen = pairs.toSorted((a, b) => failures(a) - failures(b)).filter((pair) => once.takes(pair));
  if (!wrap) return chosen;
  const uses = new Uses();
  for (const pair of chosen) if (failures(pair) === 0) uses.add(pair);
  for (;;) {
    const free = pairs.filter((pair) => !chosen.includes(pair) && uses.of(pair).includes(0));
    const [next] = free.toSorted((a, b) => failures(a) - failures(b) || uses.sum(a) - uses.sum(b));
    if (!next) return chosen;
    uses.add(next);
    chosen.push(next);
  }
}

/** What has a subflow works, whatever was before. */
function failures({ subflows, attempt }: PairView): number {
  return subflows.length > 0 ? 0 : (attempt?.failures ?? 0);
}

/** How many pairs each address is in. */
class Uses {
  readonly #counts = new Map<string, number>();

  of({ local, remote }: PairView): readonly number[] {
    return [`from ${local.endpoint}`, `to ${remote.id}`].map((end) => this.#counts.get(end) ?? 0);
  }

  sum(pair: PairView): number {
    return this.of(pair).reduce((sum, count) => sum + count, 0);
  }

  add({ local, remote }: PairView): void {
    for (const end of [`from ${local.endpoint}`, `to ${remote.id}`])
      this.#counts.set(end, (this.#counts.get(end) ?? 0) + 1);
  }

  /** Adds it where both of its addresses are free. */
  takes(pair: PairView): boolean {
    const isFree = this.sum(pair) === 0;
    if (isFree) this.add(pair);
    return isFree;
  }
}
