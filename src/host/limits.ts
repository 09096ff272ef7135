import { ENDPOINT_FLAG, type Limits } from "../types/index.ts";
import type { HostConfig } from "./config.ts";
import { PEER_ADDRESSES } from "./covering.ts";
import type { PlannedEndpoint } from "./endpoints.ts";
import type { HostFacts } from "./facts.ts";

/** Computed limits never go below what four addresses on either side take; the kernel's own default is 2 (Linux 5.16). */
const SUBFLOWS_MIN = PEER_ADDRESSES - 1;

/**
 * The limits that fit the paths: a subflow for each pair of a local and a remote address, less the initial one. Announced
 * addresses are accepted by clients; the role decides, not the flags: a server opens no subflows.
 */
export function planLimits(
  facts: HostFacts,
  config: HostConfig,
  endpoints: readonly PlannedEndpoint[],
): Limits | undefined {
  const { limits } = config;
  if (limits.subflows === undefined && limits.addAddrAccepted === undefined) return undefined;
  const cap = (value: number): number => Math.min(value, facts.capacity.limit);
  const locals = Math.max(1, new Set(endpoints.map(({ address }) => address)).size);
  const computed = Math.max(SUBFLOWS_MIN, locals * config.remoteAddresses - 1);
  const opens = endpoints.some(({ flags }) => (flags & (ENDPOINT_FLAG.subflow | ENDPOINT_FLAG.laminar)) !== 0);
  const subflows = limits.subflows === "auto" ? computed : (limits.subflows ?? facts.limits.subflows);
  const accepted =
    limits.addAddrAccepted === "auto"
      ? config.profile === "client" && opens
        ? subflows
        : 0
      : (limits.addAddrAccepted ?? facts.limits.addAddrAccepted);
  return { subflows: cap(subflows), addAddrAccepted: cap(accepted) };
}
