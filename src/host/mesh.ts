import { ENDPOINT_FLAG, type Family, familyOf } from "../types/index.ts";
import type { Role } from "./config.ts";
import type { PlannedEndpoint } from "./endpoints.ts";
import { endpointKey, type HostFacts, type HostMemory, isUnwritten } from "./facts.ts";

const { subflow, fullmesh, laminar } = ENDPOINT_FLAG;

/** Which subflows an endpoint opens is said by these. */
const MESH = fullmesh | laminar;
/** Roles that say that subflows are opened, and not which. */
const OPENING: ReadonlySet<Role | undefined> = new Set(["primary", "subflow", "backup"]);

/** Its interface's role says that it opens subflows. */
export function opens({ role }: Pick<PlannedEndpoint, "role">): boolean {
  return OPENING.has(role);
}

/**
 * Where the in-kernel algorithm is in charge, what opens subflows is `fullmesh`: so it answers announcements from every address (`coverageGaps`).
 * Not the best endpoint, from which connections begin: the kernel keeps the initial subflow in its list when that is closed, and would open none
 * from there to the initial address again when its link returns (fill_remote_addresses_vec). Alone it has to.
 *
 * What is there already stays as it is: the kernel closes all subflows of an endpoint whose `fullmesh` changes (mptcp_pm_nl_fullmesh).
 * @param which all: the best one too, because somebody wants each pair more than its return
 */
export function meshed(
  endpoints: readonly PlannedEndpoint[],
  facts: HostFacts,
  memory: HostMemory,
  which: "all" | "others" = "others",
): readonly PlannedEndpoint[] {
  const there = new Map(facts.endpoints.map((endpoint) => [endpointKey(endpoint), endpoint]));
  const best = which === "all" ? new Set<PlannedEndpoint>() : bestOfMany(endpoints);
  return endpoints.map((endpoint) => {
    if (!opens(endpoint)) return endpoint;
    const key = endpointKey(endpoint);
    const isOurs = memory.owned.has(key) || isUnwritten(key, memory);
    const known = isOurs ? there.get(key)?.flags : undefined;
    const others = endpoint.flags & ~MESH;
    if (known !== undefined && known & subflow) return { ...endpoint, flags: others | (known & MESH) };
    return best.has(endpoint) ? endpoint : { ...endpoint, flags: others | fullmesh };
  });
}

/** Of each family the first endpoint that opens subflows, where there are others. */
function bestOfMany(endpoints: readonly PlannedEndpoint[]): ReadonlySet<PlannedEndpoint> {
  const first = new Map<Family, PlannedEndpoint>();
  const best = new Set<PlannedEndpoint>();
  for (const endpoint of endpoints) {
    if (!(endpoint.flags & subflow)) continue;
    const family = familyOf(endpoint.address);
    const known = first.get(family);
    if (known) best.add(known);
    else first.set(family, endpoint);
  }
  return best;
}
