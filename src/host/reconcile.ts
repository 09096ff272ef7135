import { type Address, ENDPOINT_FLAG, type Endpoint } from "../types/index.ts";
import type { HostChange } from "./actions.ts";
import type { HostConfig } from "./config.ts";
import type { PlannedEndpoint } from "./endpoints.ts";
import { endpointKey, type HostFacts, type HostMemory, isUnwritten } from "./facts.ts";
import type { HostPlan } from "./plan.ts";
import { OUR_PROTOCOL, type PlannedRoute, type PlannedRule, routeKey, ruleKey } from "./routing.ts";
import { rpFilterName } from "./sysctls.ts";

/** The flags that SET_FLAGS can change without deleting the endpoint (mptcp_pm_nl_set_flags). */
const CHANGEABLE = ENDPOINT_FLAG.backup | ENDPOINT_FLAG.fullmesh;

/**
 * What to do, so that the host becomes what the plan says. Losses first: what is gone must not be used for another
 * moment. Then the ways (sysctls, routes, rules), and only then the endpoints that lead there.
 */
export function reconcileHost(facts: HostFacts, plan: HostPlan, config: HostConfig, memory: HostMemory): HostChange[] {
  const endpoints = endpointActions(facts, plan, config, memory);
  const rules = ruleActions(facts, plan);
  const routes = routeActions(facts, plan);
  return [
    ...endpoints.filter(({ type }) => type === "endpoint.delete"),
    ...rules.filter(({ type }) => type === "rule.delete"),
    ...routes.filter(({ type }) => type === "route.delete"),
    ...sysctlActions(facts, plan, memory),
    ...routes.filter(({ type }) => type === "route.add"),
    ...rules.filter(({ type }) => type === "rule.add"),
    ...limitActions(facts, plan),
    ...endpoints.filter(({ type }) => type !== "endpoint.delete"),
  ];
}

/** Local addresses that connections use, v4-mapped ones as IPv4. */
export interface AddressesInUse {
  /** By subflows of MPTCP connections: deleting their endpoints would close them. */
  readonly bySubflows: ReadonlySet<Address>;
  /** By any TCP connection: without their rules and routes they would leave by another link. */
  readonly byConnections: ReadonlySet<Address>;
}

/** What to do at the end, so that the host becomes what it was before us: all but what connections live by. */
export function restoreHost(facts: HostFacts, memory: HostMemory, inUse: AddressesInUse): HostChange[] {
  const owned = facts.endpoints.filter((endpoint) => memory.owned.has(endpointKey(endpoint)));
  const { rules, routes, sysctls } = whatStays(facts, inUse);
  const rest: HostPlan = { endpoints: [], limits: memory.limits, rules, routes, sysctls, leftOut: [] };
  return [
    ...owned.filter(({ address }) => !inUse.bySubflows.has(address)).map((endpoint) => deletion(endpoint, false)),
    ...ruleActions(facts, rest),
    ...routeActions(facts, rest),
    ...sysctlActions(facts, rest, memory),
    ...limitActions(facts, rest),
  ];
}

/** Ours are the rules and tables of the addresses in use, and the filters that let their packets in. */
function whatStays(
  { rules, routes, addresses, links, sysctls }: HostFacts,
  { byConnections }: AddressesInUse,
): Pick<HostPlan, "rules" | "routes" | "sysctls"> {
  const kept = ourRules(rules).filter(({ source }) => byConnections.has(source));
  const tables = new Set(kept.map(({ table }) => table));
  const devices = new Set(
    addresses.filter(({ address }) => byConnections.has(address)).map(({ interfaceIndex }) => interfaceIndex),
  );
  const filters = links.filter(({ index }) => devices.has(index)).map(({ name }) => rpFilterName(name));
  return {
    rules: kept,
    routes: routes.filter(({ protocol, table }) => protocol === OUR_PROTOCOL && tables.has(table)),
    sysctls: filters.flatMap((name) => {
      const value = sysctls.get(name);
      return value === undefined ? [] : [{ name, value, because: "connections use it" }];
    }),
  };
}

function deletion({ id, address, port }: Endpoint, foreign: boolean, isLoss = false): HostChange {
  return { type: "endpoint.delete", id, address, port, foreign, ...(isLoss && { isLoss }) };
}

function endpointActions(facts: HostFacts, plan: HostPlan, config: HostConfig, memory: HostMemory): HostChange[] {
  const actions: HostChange[] = [];
  const wanted = new Map(plan.endpoints.map((endpoint) => [endpointKey(endpoint), endpoint]));
  for (const existing of facts.endpoints) {
    if (existing.flags & ENDPOINT_FLAG.implicit) continue;
    const key = endpointKey(existing);
    const planned = wanted.get(key);
    const ours = memory.owned.has(key);
    if (!planned) {
      if (ours || config.foreignEndpoints === "replace")
        actions.push(deletion(existing, !ours, isLost(existing.address, facts, plan)));
      continue;
    }
    wanted.delete(key);
    const difference = changes(existing, planned);
    const lost = isUnwritten(key, memory) && difference.length === 0;
    if (!ours && !lost && config.foreignEndpoints === "ignore") continue;
    if (!ours) actions.push({ type: "endpoint.adopt", address: existing.address, port: existing.port });
    actions.push(...difference);
  }
  // An implicit endpoint has the address already: adding one replaces it and keeps its id (mptcp_pm_nl_append_new_local_addr).
  for (const endpoint of wanted.values()) actions.push({ type: "endpoint.add", endpoint });
  return actions;
}

/** Not somebody's wish: the address is not there, or what is in its way may be over in a moment. */
function isLost(address: Address, { addresses }: HostFacts, { leftOut }: HostPlan): boolean {
  return (
    !addresses.some((each) => each.address === address) ||
    leftOut.some((each) => each.passing && each.address === address)
  );
}

function changes(existing: Endpoint, planned: PlannedEndpoint): HostChange[] {
  const sameDevice = existing.interfaceIndex === planned.interfaceIndex;
  const sameId = planned.id === 0 || planned.id === existing.id;
  const difference = existing.flags ^ planned.flags;
  if (sameDevice && sameId && difference === 0) return [];
  const { id, address, port } = existing;
  if (sameDevice && sameId && (difference & ~CHANGEABLE) === 0) {
    return [{ type: "endpoint.flags", id, address, port, flags: planned.flags }];
  }
  return [deletion(existing, false), { type: "endpoint.add", endpoint: planned }];
}

function limitActions({ limits }: HostFacts, { limits: planned }: HostPlan): HostChange[] {
  if (!planned) return [];
  const same = planned.subflows === limits.subflows && planned.addAddrAccepted === limits.addAddrAccepted;
  return same ? [] : [{ type: "limits.set", limits: planned }];
}

function ruleActions(facts: HostFacts, plan: HostPlan): HostChange[] {
  return difference(ourRules(facts.rules), plan.rules, ruleKey).map(({ change, value }) => ({
    type: `rule.${change}`,
    rule: value,
  }));
}

function ourRules(rules: HostFacts["rules"]): PlannedRule[] {
  return rules.flatMap(({ protocol, family, source, sourceLength, table }): PlannedRule[] =>
    protocol === OUR_PROTOCOL && source !== undefined ? [{ family, source, sourceLength, table }] : [],
  );
}

function routeActions(facts: HostFacts, plan: HostPlan): HostChange[] {
  const existing: PlannedRoute[] = facts.routes.filter(({ protocol }) => protocol === OUR_PROTOCOL);
  return difference(existing, plan.routes, routeKey).map(({ change, value }) => ({
    type: `route.${change}`,
    route: value,
  }));
}

function difference<T>(
  existing: readonly T[],
  wanted: readonly T[],
  keyOf: (value: T) => string,
): { change: "add" | "delete"; value: T }[] {
  const there = new Map(existing.map((value) => [keyOf(value), value]));
  const result: { change: "add" | "delete"; value: T }[] = [];
  for (const value of wanted) {
    if (!there.delete(keyOf(value))) result.push({ change: "add", value });
  }
  return [...[...there.values()].map((value) => ({ change: "delete" as const, value })), ...result];
}

function sysctlActions(facts: HostFacts, plan: HostPlan, memory: HostMemory): HostChange[] {
  const actions: HostChange[] = [];
  const planned = new Set(plan.sysctls.map(({ name }) => name));
  for (const [name, before] of memory.sysctls) {
    const now = facts.sysctls.get(name);
    if (planned.has(name) || now === undefined || now === before) continue;
    actions.push({ type: "sysctl.set", name, value: before, before: undefined });
  }
  for (const { name, value } of plan.sysctls) {
    const now = facts.sysctls.get(name);
    if (now !== value) actions.push({ type: "sysctl.set", name, value, before: now });
  }
  return actions;
}
