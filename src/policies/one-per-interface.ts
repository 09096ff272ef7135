import type { ConnectionPlan, ConnectionView, PairView, Policy, Wanted } from "../engine/index.ts";
import { admitted } from "./admitted.ts";

/** One subflow for each interface, whatever the addresses and families: for hosts with many addresses on few links. */
export const onePerInterface: Policy = {
  name: "one-per-interface",
  about: "one subflow for each interface, whatever the addresses and families",
  plan(view: ConnectionView): ConnectionPlan {
    const used = new Set<string>();
    const takes = (pair: PairView | undefined): boolean => {
      const link = pair ? linkOf(pair) : "";
      const isFree = !used.has(link);
      used.add(link);
      return isFree;
    };
    const subflows: Wanted[] = [];
    for (const keep of admitted(view)) {
      const isFirst = takes(view.pairs.find((pair) => pair.subflows.includes(keep)));
      // What the peer opened is the peer's to judge.
      if (isFirst || !keep.initiated || view.side === "server") subflows.push({ keep });
    }
    // Where one of a link's pairs fails, another may not.
    const failures = ({ attempt }: PairView): number => attempt?.failures ?? 0;
    const pairs = view.pairs.filter(({ blocked }) => blocked === "").toSorted((a, b) => failures(a) - failures(b));
    if (view.side === "client") for (const open of pairs) if (takes(open)) subflows.push({ open });
    return { subflows };
  },
};

/** An endpoint that is bound to no interface counts as one of its own. */
function linkOf({ local: { interfaceIndex, address } }: PairView): string {
  return interfaceIndex ? `${interfaceIndex}` : address;
}
