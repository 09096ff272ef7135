import type { ConnectionPlan, ConnectionView, Policy } from "../engine/index.ts";
import { keptBy } from "./admitted.ts";

/** Nothing is opened and nothing announced; what is there stays, and what the peer opens is taken within the limits. */
export const none: Policy = {
  name: "none",
  about: "nothing is opened and nothing announced; what there is stays",
  plan: (view: ConnectionView): ConnectionPlan => ({ ...keptBy(view), announcements: [] }),
};
