import { ENDPOINT_FLAG, type Endpoint, type Family, familyOf, type Limits } from "../types/index.ts";
import { type CoverageGap, coverageGaps } from "./covering.ts";
import type { EndpointPlan, PlannedEndpoint } from "./endpoints.ts";
import { endpointKey, type HostFacts, type HostMemory } from "./facts.ts";

const { subflow, fullmesh, laminar } = ENDPOINT_FLAG;

/**
 * Where the in-kernel algorithm is in charge, what opens subflows is `fullmesh`: so it answers announcements from every address ({@link
 * coverageGaps}). Not the best endpoint, from which connections begin: the kernel keeps the initial subflow in its list when that is closed, and would open none
 * from there to the initial address again when its link returns (fill_remote_addresses_vec). Alone it has to.
 *
 * What is there already stays as it is: the kernel closes all subflows of an endpoint whose `fullmesh` changes (mptcp_pm_nl_fullmesh).
 */
export function meshed({ endpoints, plain }: EndpointPlan, facts: HostFacts, memory: HostMemory): PlannedEndpoint[] {
  const there = new Map(facts.endpoints.map((endpoint) => [endpointKey(endpoint), endpoint]));
  return endpoints.map((endpoint) => {
    if (!plain.has(endpoint)) return endpoint;
    const key = endpointKey(endpoint);
    const known = isOurs(key, memory) ? there.get(key)?.flags : undefined;
    const others = endpoint.flags & ~MESH;
    if (known !== undefined && known & subflow) return { ...endpoint, flags: others | (known & MESH) };
    return isBestOfMany(endpoint, endpoints) ? endpoint : { ...endpoint, flags: others | fullmesh };
  });
}

/** Which subflows an endpoint opens is said by these. */
const MESH = fullmesh | laminar;

function isBestOfMany(endpoint: PlannedEndpoint, endpoints: readonly PlannedEndpoint[]): boolean {
  const family = familyOf(endpoint.address);
  const [best, ...others] = endpoints.filter(({ address, flags }) => flags & subflow && familyOf(address) === family);
  return endpoint === best && others.length > 0;
}

/** Perhaps after a crash between adding it and writing that down. */
function isOurs(key: string, { owned, afterCrash, foreign }: HostMemory): boolean {
  return owned.has(key) || (afterCrash && foreign?.has(key) === false);
}

/** Which peers are asked about. */
export interface Peers {
  /** Those that forbid joins to their initial address, or not. */
  readonly denies?: readonly boolean[];
  /** With up to so many addresses. */
  readonly addresses?: number;
}

/** What the in-kernel path manager leaves without a subflow, for people; empty: it covers such peers. */
export function coverageTexts(
  endpoints: readonly Pick<Endpoint, "address" | "flags">[],
  limits: Limits,
  { denies = [false, true], addresses }: Peers = {},
): string[] {
  const opening = endpoints.filter(({ flags }) => flags & (subflow | fullmesh | laminar));
  const families = new Set(opening.map(({ address }) => familyOf(address)));
  return [...families].flatMap((family) => {
    const flags = opening.filter(({ address }) => familyOf(address) === family).map((each) => each.flags);
    const gaps = coverageGaps(flags, limits, addresses);
    return denies.flatMap((kind) => {
      const [first, ...more] = gaps.filter((gap) => gap.denies === kind);
      return first ? [textOf(first, more.length > 0, family)] : [];
    });
  });
}

function textOf({ addresses, denies, local, remote }: CoverageGap, orMore: boolean, family: Family): string {
  const many = `${addresses}${orMore ? " or more" : ""} IPv${family === 2 ? 4 : 6} address${addresses > 1 ? "es" : ""}`;
  const who = `a peer with ${many}${denies ? " that forbids joins to its initial one" : ""}`;
  const lost = [
    remote > 0 && `to ${remote} of its addresses`,
    local > 0 && `from ${local} of this host's addresses`,
  ].filter(Boolean);
  return `${who}: no subflow ${lost.join(" and none ")}`;
}
