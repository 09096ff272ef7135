import { AF_INET, familyOf } from "../types/index.ts";
import type { HostConfig } from "./config.ts";
import type { PlannedEndpoint } from "./endpoints.ts";
import type { HostFacts } from "./facts.ts";

/** A sysctl that should have a value. */
export interface PlannedSysctl {
  readonly name: string;
  readonly value: string;
  readonly because: string;
}

/** net.ipv4.conf.*.rp_filter values (Documentation/networking/ip-sysctl.rst). */
const STRICT = 1;
const LOOSE = "2";

export function rpFilterName(device: string): string {
  // sysctl(8) separates by dots: a dot in a name (a VLAN) is written as a slash.
  return `net.ipv4.conf.${device.replaceAll(".", "/")}.rp_filter`;
}

/** Sysctls to change, each only where the configuration allows it. */
export function planSysctls(
  facts: HostFacts,
  config: HostConfig,
  endpoints: readonly PlannedEndpoint[],
): PlannedSysctl[] {
  const planned: PlannedSysctl[] = [];
  const current = (name: string): string | undefined => facts.sysctls.get(name);
  if (!config.automatic) return planned;
  if (config.enableMptcp && current("net.mptcp.enabled") === "0") {
    planned.push({ name: "net.mptcp.enabled", value: "1", because: "enable_mptcp is set" });
  }
  if (config.behindLoadBalancer && current("net.mptcp.allow_join_initial_addr_port") !== undefined) {
    planned.push({
      name: "net.mptcp.allow_join_initial_addr_port",
      value: "0",
      because: "behind a load balancer the initial address is not ours to join",
    });
  }
  if (config.rpFilter) planned.push(...looseFilters(facts, endpoints));
  return planned;
}

/** The kernel takes the larger of `all` and the interface: 2 on the interface is enough to make it loose. */
function looseFilters(facts: HostFacts, endpoints: readonly PlannedEndpoint[]): PlannedSysctl[] {
  const devices = new Set(
    endpoints.filter(({ address }) => familyOf(address) === AF_INET).flatMap(({ dev }) => dev ?? []),
  );
  const all = Number(facts.sysctls.get(rpFilterName("all")) ?? 0);
  return [...devices].flatMap((device) => {
    const name = rpFilterName(device);
    const value = facts.sysctls.get(name);
    if (value === undefined) return [];
    if (value !== LOOSE && Math.max(all, Number(value)) !== STRICT) return [];
    return [{ name, value: LOOSE, because: "a strict rp_filter drops what arrives on another path than the best" }];
  });
}
