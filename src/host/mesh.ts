import { ENDPOINT_FLAG, type Endpoint, type Family, familyOf, type Limits } from "../types/index.ts";
import { type CoverageGap, coverageGaps } from "./covering.ts";
import type { EndpointPlan, PlannedEndpoint } from "./endpoints.ts";
import { endpointKey, type HostFacts, type HostMemory } from "./facts.ts";

const { subflow, fullmesh, laminar } = ENDPOINT_FLAG;

/**
 * Where the in-kernel algorithm is in charge, what just opens subflows is `fullmesh`: of all flags that there are it covers the most kinds of
 * peers, up to four addresses on either side ({@link coverageGaps}). What is there already stays as it is: the kernel closes
 * all subflows of an endpoint whose `fullmesh` changes (mptcp_pm_nl_fullmesh).
 */
export function meshed({ endpoints, plain }: EndpointPlan, facts: HostFacts, memory: HostMemory): PlannedEndpoint[] {
  const there = new Map(facts.endpoints.map((endpoint) => [endpointKey(endpoint), endpoint]));
  return endpoints.map((endpoint) => {
    if (!plain.has(endpoint)) return endpoint;
    const key = endpointKey(endpoint);
    const known = isOurs(key, memory) ? there.get(key)?.flags : undefined;
    return { ...endpoint, flags: known !== undefined && isPlain(known) ? known : subflow | fullmesh };
  });
}

function isPlain(flags: number): boolean {
  return (flags & subflow) !== 0 && (flags & ~(subflow | fullmesh | laminar)) === 0;
}

/** Perhaps after a crash between adding it and writing that down. */
function isOurs(key: string, { owned, afterCrash, foreign }: HostMemory): boolean {
  return owned.has(key) || (afterCrash && foreign?.has(key) === false);
}

/**
 * What the in-kernel path manager leaves without a subflow, for people; empty: it covers what has up to four addresses.
 * @param denies which peers are asked about: those that forbid joins to their initial address, or not
 */
export function coverageTexts(
  endpoints: readonly Pick<Endpoint, "address" | "flags">[],
  limits: Limits,
  denies: readonly boolean[] = [false, true],
): string[] {
  const opening = endpoints.filter(({ flags }) => flags & (subflow | fullmesh | laminar));
  const families = new Set(opening.map(({ address }) => familyOf(address)));
  return [...families].flatMap((family) => {
    const flags = opening.filter(({ address }) => familyOf(address) === family).map((each) => each.flags);
    const gaps = coverageGaps(flags, limits);
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
