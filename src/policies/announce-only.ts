import type { ConnectionPlan, ConnectionView, Policy } from "../engine/index.ts";
import { keptBy } from "./admitted.ts";
import { announced } from "./announced.ts";

/** For servers: the peer knows every address, and opens what it wants. */
export const announceOnly: Policy = {
  name: "announce-only",
  about: "every address is announced, and nothing is opened: for servers",
  plan: (view: ConnectionView): ConnectionPlan => ({ ...keptBy(view), announcements: announced(view) }),
};
