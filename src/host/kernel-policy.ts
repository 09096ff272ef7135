import { ENDPOINT_FLAG, type Family, familyOf } from "../types/index.ts";
import type { HostConfig } from "./config.ts";
import type { LeftOutEndpoint, PlannedEndpoint } from "./endpoints.ts";
import type { HostFacts, HostMemory } from "./facts.ts";
import { meshed, opens } from "./mesh.ts";

const { signal, subflow, backup } = ENDPOINT_FLAG;

/** Endpoints with the flags that have the in-kernel algorithm do what the policy says of new connections, as near as it comes. */
export function shaped(
  endpoints: readonly PlannedEndpoint[],
  { kernelPolicy }: Pick<HostConfig, "kernelPolicy">,
  facts: HostFacts,
  memory: HostMemory,
): readonly PlannedEndpoint[] {
  switch (kernelPolicy) {
    case undefined:
      return meshed(endpoints, facts, memory);
    case "fullmesh":
      return meshed(endpoints, facts, memory, "all");
    case "active-backup":
      return spared(meshed(endpoints, facts, memory));
    case "announce-only":
      return endpoints.map((endpoint) => (endpoint.role === undefined ? endpoint : { ...endpoint, flags: signal }));
    case "none":
      // What the configuration names itself is wanted.
      return endpoints.filter(({ role }) => role === undefined);
  }
}

/** What is left out because of the policy. */
export function unwanted(
  endpoints: readonly PlannedEndpoint[],
  { kernelPolicy }: Pick<HostConfig, "kernelPolicy">,
): readonly LeftOutEndpoint[] {
  if (kernelPolicy !== "none") return [];
  return endpoints
    .filter(({ role }) => role !== undefined)
    .map(({ address, dev }) => {
      const what = `${address} dev ${dev}`;
      return { what, address, reason: "policy none opens and announces nothing", remedy: "choose another policy" };
    });
}

/** Of each family the first that is no backup anyhow carries; the others are backup. That flag alone comes and goes without closing anything. */
function spared(endpoints: readonly PlannedEndpoint[]): readonly PlannedEndpoint[] {
  const carries = new Set<Family>();
  return endpoints.map((endpoint) => {
    const { flags, address } = endpoint;
    if (!opens(endpoint) || !(flags & subflow) || flags & backup) return endpoint;
    if (carries.has(familyOf(address))) return { ...endpoint, flags: flags | backup };
    carries.add(familyOf(address));
    return endpoint;
  });
}
