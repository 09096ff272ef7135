import type { RemoteAddressRules } from "../engine/index.ts";
import type { HostConfig } from "../host/index.ts";
import { type Address, parseAddress, parsePrefix } from "../types/index.ts";
import { choosePolicy, kernelPolicyOf, type PathManager } from "./choice.ts";
import { quotaOf } from "./quota.ts";
import { type Config, flagBits } from "./schema.ts";

/** What the engine takes of a configuration's `remote_addresses`. */
export function remoteAddressRules({ remote_addresses: { allow, deny } }: Config): RemoteAddressRules {
  const parsed = (texts: readonly string[]) => texts.flatMap((text) => parsePrefix(text) ?? []);
  return { allow: parsed(allow), deny: parsed(deny) };
}

/** What the host plan takes of a configuration. Limits that are not given are computed when automatic, else left alone. */
export function hostConfig(config: Config, pathManager: PathManager): HostConfig {
  const byDefault = config.automatic ? "auto" : undefined;
  return {
    profile: config.profile,
    automatic: config.automatic,
    interfaces: config.interfaces.map(
      ({ name, kind, connection, role, also_without_default_route, metered, cost, announce_as, quota }) => ({
        match: { name, kind, connection },
        role,
        alsoWithoutDefaultRoute: also_without_default_route,
        metered,
        cost,
        quota: quota === undefined ? undefined : quotaOf(quota),
        announceAs: announce_as === undefined ? undefined : parseAddress(announce_as),
      }),
    ),
    endpoints: config.endpoints.map(({ address, port, id, flags, dev }) => ({
      address: parseAddress(address) as Address,
      port: port ?? 0,
      id: id ?? 0,
      flags: flagBits(flags),
      dev,
    })),
    limits: {
      subflows: config.limits.subflows ?? byDefault,
      addAddrAccepted: config.limits.add_addr_accepted ?? byDefault,
    },
    remoteAddresses: config.remote_addresses.expected,
    routing: config.routing,
    plansPairs: pathManager === "userspace" && choosePolicy(config).policy !== "standard",
    kernelPolicy: pathManager === "kernel" ? kernelPolicyOf(config) : undefined,
    rpFilter: config.rp_filter,
    enableMptcp: config.enable_mptcp,
    behindLoadBalancer: config.behind_load_balancer,
    foreignEndpoints: config.foreign_endpoints,
  };
}
