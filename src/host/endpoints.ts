import { type Address, ENDPOINT_FLAG, familyOf } from "../types/index.ts";
import type { FixedEndpoint, HostConfig, Role } from "./config.ts";
import { endpointKey, type HostAddress, type HostFacts, type HostLink, type HostMemory } from "./facts.ts";
import type { MainRoutes } from "./main-routes.ts";
import { type Assignment, assignedFlags, assignRole, roleRank } from "./roles.ts";
import { addressObstacle, type Obstacle } from "./usable.ts";

/** An endpoint that should be there. */
export interface PlannedEndpoint {
  readonly address: Address;
  readonly port: number;
  /** 0: whichever the table chooses. */
  readonly id: number;
  readonly flags: number;
  /** 0: none. */
  readonly interfaceIndex: number;
  readonly dev: string | undefined;
  readonly because: string;
  /** Of its interface; undefined: the configuration names it. */
  readonly role?: Role;
  /** Where peers know it by another address: the host's own, which a NAT forwards to. */
  readonly localAddress?: Address;
  /** What is sent there costs money. */
  readonly metered?: boolean;
  /** So much, in units of the administrator's own. */
  readonly cost?: number;
}

/** An address or interface that gives no endpoint, and why. */
export interface LeftOutEndpoint extends Obstacle {
  /** "10.0.0.1 dev eth0". */
  readonly what: string;
  /** The address that is meant, where it is one of an interface. */
  readonly address?: Address;
}

export interface EndpointPlan {
  readonly endpoints: readonly PlannedEndpoint[];
  readonly leftOut: readonly LeftOutEndpoint[];
}

/** Where what is sent from there costs money, and what it costs. */
export function pricesOf(endpoints: readonly PlannedEndpoint[]): {
  readonly metered: readonly Address[];
  readonly costs: ReadonlyMap<Address, number>;
} {
  return {
    metered: endpoints.flatMap(({ address, metered }) => (metered ? [address] : [])),
    costs: new Map(endpoints.flatMap(({ address, cost }) => (cost ? [[address, cost] as const] : []))),
  };
}

interface Candidate extends PlannedEndpoint {
  readonly role: Role;
  readonly rank: number;
  /** Metric of the interface's best default route. */
  readonly metric: number;
}

/** Which endpoints should exist: the fixed ones, then those of the interfaces' roles, as many as the kernel has room for. */
export function planEndpoints(
  facts: HostFacts,
  main: MainRoutes,
  config: HostConfig,
  memory: HostMemory,
): EndpointPlan {
  const leftOut: LeftOutEndpoint[] = [];
  const fixed = config.endpoints.flatMap((endpoint) => fixedEndpoint(endpoint, facts, leftOut));
  const automatic = config.automatic ? automaticEndpoints(facts, main, config, memory, leftOut) : [];
  // An address may stand on an interface twice (two prefixes) or on two interfaces: the table takes it once.
  const byKey = new Map<string, PlannedEndpoint>();
  for (const endpoint of [...fixed, ...dealOut(automatic)]) {
    if (!byKey.has(endpointKey(endpoint))) byKey.set(endpointKey(endpoint), endpoint);
  }
  const wanted = [...byKey.values()];
  const kept = wanted.filter((endpoint) => {
    if (!memory.yielded.has(endpointKey(endpoint))) return true;
    leftOut.push({
      what: describe(endpoint),
      reason: "somebody else keeps removing it",
      remedy: "end the other manager (`subflow doctor` names it), then restart Subflow",
    });
    return false;
  });
  return withinCapacity(kept, facts, memory, config, leftOut);
}

function describe({ address, port, dev }: { address: string; port: number; dev: string | undefined }): string {
  return `${endpointKey({ address, port })}${dev === undefined ? "" : ` dev ${dev}`}`;
}

function fixedEndpoint(fixed: FixedEndpoint, { links }: HostFacts, leftOut: LeftOutEndpoint[]): PlannedEndpoint[] {
  const { dev } = fixed;
  const link = dev === undefined ? undefined : links.find(({ name }) => name === dev);
  if (dev !== undefined && !link) {
    leftOut.push({
      what: describe(fixed),
      reason: `there is no interface ${dev}`,
      remedy: "it is added when the interface comes",
    });
    return [];
  }
  return [{ ...fixed, interfaceIndex: link?.index ?? 0, because: "named in the configuration" }];
}

/**
 * Taking an announced address back makes peers close their subflows to it, and not all of them join again when it returns. A link
 * that fails takes nothing back, as it does not without us; an address that goes does.
 */
function isAnnouncedByUs(address: Address, role: Role, there: ReadonlySet<string>, { owned }: HostMemory): boolean {
  return role === "signal" && owned.has(address) && there.has(address);
}

function automaticEndpoints(
  facts: HostFacts,
  main: MainRoutes,
  config: HostConfig,
  memory: HostMemory,
  leftOut: LeftOutEndpoint[],
): Candidate[] {
  const candidates: Candidate[] = [];
  const byInterface = addressesByInterface(facts.addresses);
  const there = new Set(facts.endpoints.map(endpointKey));
  for (const link of facts.links) {
    const assignment = assignRole(config, link, facts.quotaUsed?.get(link.name));
    const addresses = byInterface.get(link.index) ?? [];
    if (assignment.role === "off") {
      if (addresses.length > 0 && link.interfaceKind !== "loopback") {
        leftOut.push({ what: link.name, reason: assignment.because, remedy: remedyOf(assignment) });
      }
      continue;
    }
    for (const address of addresses) {
      const obstacle = addressObstacle(address, link, assignment.alsoWithoutDefaultRoute ? undefined : main);
      const planned = candidatesOf(address.address, link, facts, main, assignment);
      if (!obstacle) {
        candidates.push(...planned);
        continue;
      }
      const because = `${assignment.because}; ${obstacle.reason}, and only peers could open again what they opened`;
      const kept = planned.filter(
        (each) => obstacle.passing && isAnnouncedByUs(each.address, each.role, there, memory),
      );
      candidates.push(...kept.map((each) => ({ ...each, because })));
      if (kept.length === planned.length) continue;
      leftOut.push({ what: `${address.address} dev ${link.name}`, address: address.address, ...obstacle });
    }
  }
  return candidates;
}

function addressesByInterface(addresses: readonly HostAddress[]): Map<number, HostAddress[]> {
  const byInterface = new Map<number, HostAddress[]>();
  for (const address of addresses) {
    const list = byInterface.get(address.interfaceIndex);
    if (list) list.push(address);
    else byInterface.set(address.interfaceIndex, [address]);
  }
  return byInterface;
}

/** The address as its role has it, and as peers are to know it. */
function candidatesOf(
  address: Address,
  link: HostLink,
  facts: HostFacts,
  main: MainRoutes,
  assignment: Assignment,
): Candidate[] {
  const own = candidate(address, link, facts, main, assignment);
  const { announceAs } = assignment;
  if (announceAs === undefined || familyOf(announceAs) !== familyOf(address)) return [own];
  const outside = candidate(announceAs, link, facts, main, { ...assignment, role: "signal" });
  const announced = { ...outside, localAddress: address };
  return assignment.role === "signal" ? [announced] : [own, announced];
}

function candidate(
  address: Address,
  link: HostLink,
  facts: HostFacts,
  main: MainRoutes,
  assignment: Assignment,
): Candidate {
  const metrics = main.defaultsOf(link.index, familyOf(address)).map(({ priority }) => priority);
  return {
    address,
    port: 0,
    id: 0,
    flags: assignedFlags(assignment, facts.capacity.laminar),
    interfaceIndex: link.index,
    dev: link.name,
    because: assignment.because,
    role: assignment.role,
    ...(assignment.metered && { metered: true }),
    ...(assignment.cost && { cost: assignment.cost }),
    rank: roleRank(assignment.isSpent ? "backup" : assignment.role),
    metric: metrics.length > 0 ? Math.min(...metrics) : Number.MAX_SAFE_INTEGER,
  };
}

function remedyOf({ quota }: Assignment): string {
  if (!quota) return "give it a role in `interfaces`";
  return `it returns when the ${quota.period} is over; or raise its quota in \`interfaces\``;
}

/** By role, then by cost, then round robin over the interfaces (each one's first address before anybody's second), then by metric. */
function dealOut(candidates: readonly Candidate[]): Candidate[] {
  const turn = new Map<Candidate, number>();
  const seen = new Map<number, number>();
  for (const each of candidates) {
    const count = seen.get(each.interfaceIndex) ?? 0;
    turn.set(each, count);
    seen.set(each.interfaceIndex, count + 1);
  }
  return [...candidates].sort(
    (a, b) =>
      a.rank - b.rank ||
      (a.cost ?? 0) - (b.cost ?? 0) ||
      turn.get(a)! - turn.get(b)! ||
      a.metric - b.metric ||
      a.interfaceIndex - b.interfaceIndex,
  );
}

/**
 * Foreign endpoints take room too, unless they are to go; a wanted one that a foreign one already is takes none more.
 * What ranks below the first that does not fit is left out even so: adopting it would push out what ranks higher.
 */
function withinCapacity(
  wanted: readonly PlannedEndpoint[],
  facts: HostFacts,
  memory: HostMemory,
  config: HostConfig,
  leftOut: LeftOutEndpoint[],
): EndpointPlan {
  const foreign = new Set(config.foreignEndpoints === "replace" ? [] : foreignKeys(facts, memory));
  let room = Math.max(0, facts.capacity.endpoints - foreign.size);
  const first = wanted.findIndex((each) => !foreign.has(endpointKey(each)) && room-- === 0);
  const kept = first < 0 ? wanted.length : first;
  for (const loser of wanted.slice(kept)) {
    leftOut.push({
      what: describe(loser),
      reason: `the kernel has room for ${facts.capacity.endpoints} endpoints, and others rank higher`,
      remedy: "give the interface the role primary, or others off",
    });
  }
  return { endpoints: wanted.slice(0, kept), leftOut };
}

function foreignKeys({ endpoints }: HostFacts, { owned }: HostMemory): string[] {
  return endpoints
    .filter(({ flags }) => !(flags & ENDPOINT_FLAG.implicit))
    .map(endpointKey)
    .filter((key) => !owned.has(key));
}
