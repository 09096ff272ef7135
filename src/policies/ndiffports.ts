import {
  type ConnectionPlan,
  type ConnectionView,
  count,
  type PairView,
  type Policy,
  type SubflowView,
  type Wanted,
} from "../engine/index.ts";
import { admitted, keptBy } from "./admitted.ts";

const PARAMETERS = {
  subflows: count("how many subflows each pair of addresses has", 2, [1, 8]),
};

/** So many subflows between the same two addresses, from different ports: a network with several ways (ECMP) sends them by different ones. */
export const ndiffports: Policy<unknown, typeof PARAMETERS> = {
  name: "ndiffports",
  about: "several subflows for each pair of addresses, from different ports, for networks with several ways (ECMP)",
  parameters: PARAMETERS,
  plan(view: ConnectionView, _memory, _occasion, { subflows: most }): ConnectionPlan {
    if (view.side === "server") return keptBy(view);
    const pairs = view.pairs.filter(({ blocked }) => blocked === "");
    const surplus = new Set(pairs.flatMap((pair) => surplusOf(pair, most)));
    const keeps = admitted(view).filter((subflow) => !surplus.has(subflow));
    const subflows: Wanted[] = keeps.map((keep) => ({ keep }));
    // Each pair has its first before any has its second.
    for (let nth = 0; nth < most; nth++)
      for (const open of pairs) if (open.subflows.length <= nth) subflows.push({ open });
    return { subflows: subflows.slice(0, SUBFLOWS_MAX) };
  },
};

/** A plan has no more; beyond the limits it would wait anyway. */
const SUBFLOWS_MAX = 64;

/** Those of our own beyond the number, where it was set lower; the oldest stay. */
function surplusOf({ subflows }: PairView, most: number): readonly SubflowView[] {
  return subflows.slice(most).filter(({ join, initiated }) => join && initiated);
}
