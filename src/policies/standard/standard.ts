import type { ConnectionPlan, ConnectionView, Occasion, Policy } from "../../engine/index.ts";
import { Draft } from "./draft.ts";
import { explain } from "./explain.ts";
import { accountInitialAddress, hear } from "./hear.ts";
import { begin, type Memory } from "./memory.ts";
import { pass } from "./pass.ts";
import { serve, serveNew } from "./serve.ts";

/**
 * What the in-kernel path manager does, decision for decision (net/mptcp/pm_kernel.c of Linux 6.18).
 * Joins of the peer are judged first (mptcp_pm_allow_new_subflow), then received announcements are served
 * (mptcp_pm_nl_add_addr_received), then, where a pass is due, endpoints are announced and connected from
 * (mptcp_pm_create_subflow_or_signal_addr).
 */
export const standard: Policy<Memory> = {
  name: "standard",
  about: "what the in-kernel path manager does, decision for decision",
  tries: "once",
  begin,
  plan(view: ConnectionView, memory: Memory, occasion: Occasion): ConnectionPlan<Memory> {
    const draft = new Draft(view, memory);
    const isPassDue = hear(draft, occasion);
    if (isPassDue || view.remotes.length > 0) accountInitialAddress(draft);
    if (occasion.type === "announced") serve(draft, occasion.remote);
    else if (occasion.type === "routed" && occasion.remote?.source) serve(draft, occasion.remote);
    else if (isFresh(occasion)) for (const remote of view.remotes) serveNew(draft, remote);
    // The kernel's worker is done with a received announcement before it looks at endpoints (mptcp_pm_worker).
    if (isPassDue && draft.ask.length > 0) draft.registers.passOwed = true;
    else if (isPassDue) pass(draft);
    return draft.plan();
  },
  explain,
};

/** This policy has not seen what was announced so far. */
const isFresh = (occasion: Occasion): boolean =>
  (occasion.type === "established" && !occasion.again) || occasion.type === "policy";
