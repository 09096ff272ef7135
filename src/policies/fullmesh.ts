import type { ConnectionPlan, ConnectionView, Policy } from "../engine/index.ts";
import { keptBy } from "./admitted.ts";
import { missing } from "./resilient.ts";

/** A subflow from each address to each of the peer's, as far as the limits allow; what is there never makes room for what is not. */
export const fullmesh: Policy = {
  name: "fullmesh",
  about: "a subflow from each address to each of the peer's, as far as the limits allow",
  plan(view: ConnectionView): ConnectionPlan {
    const { subflows } = keptBy(view);
    if (view.side === "server") return { subflows };
    return { subflows: [...subflows, ...missing(view.pairs).map((open) => ({ open }))] };
  },
};
