import { addressBytes, ENDPOINT_FLAG, familyOf, sharePrefix } from "../types/index.ts";
import type { Route, Rule, SourceRule, UnicastRoute } from "../wire/index.ts";
import type { HostConfig } from "./config.ts";
import type { PlannedEndpoint } from "./endpoints.ts";
import type { HostFacts } from "./facts.ts";
import type { MainRoutes } from "./main-routes.ts";

/** RTPROT_* number of everything we add (rt_protos(5) leaves it free): how our rules and routes are known again after a kill -9. */
export const OUR_PROTOCOL = 154;
/** Priority of our rules: before main (32766), behind what people add by hand with small numbers. */
export const RULE_PRIORITY = 20_000;
/** Our tables: this number and the interface's index. */
export const TABLE_BASE = 20_000;

const FR_ACT_TO_TABLE = 1;

/** A rule `from ADDRESS lookup TABLE`; priority and protocol are the same for all of ours. */
export type PlannedRule = Omit<SourceRule, "priority" | "protocol">;

/** A route of one of our tables. */
export type PlannedRoute = Omit<UnicastRoute, "protocol">;

export interface RoutingPlan {
  readonly rules: readonly PlannedRule[];
  readonly routes: readonly PlannedRoute[];
}

/** Source rules and tables for the endpoints that need them. */
export function planRouting(
  facts: HostFacts,
  main: MainRoutes,
  config: HostConfig,
  endpoints: readonly PlannedEndpoint[],
): RoutingPlan {
  const rules = new Map<string, PlannedRule>();
  const routes = new Map<string, PlannedRoute>();
  if (!config.automatic || config.routing === "never") return { rules: [], routes: [] };
  const foreign = foreignRules(facts.rules);
  for (const planned of endpoints) {
    // Answers to what a NAT forwards leave from the host's own address.
    const endpoint = { ...planned, address: planned.localAddress ?? planned.address };
    if (endpoint.interfaceIndex === 0 || rules.has(endpoint.address)) continue;
    const isAnnounced = config.plansPairs || (endpoint.flags & ENDPOINT_FLAG.signal) !== 0;
    if (config.routing === "auto" && !(isAnnounced && needsRule(endpoint, main, foreign))) continue;
    const family = familyOf(endpoint.address);
    const table = TABLE_BASE + endpoint.interfaceIndex;
    const copies = tableRoutes(main.of(endpoint.interfaceIndex, family), family, table);
    // A rule to an empty table would send nothing anywhere: it falls through to main, as without a rule.
    if (copies.length === 0) continue;
    rules.set(endpoint.address, { family, source: endpoint.address, sourceLength: family === 2 ? 32 : 128, table });
    for (const route of copies) routes.set(routeKey(route), route);
  }
  return { rules: [...rules.values()], routes: [...routes.values()] };
}

/**
 * Is the source address of an announced endpoint not enough to leave by its interface? A subflow that we open is bound to the
 * endpoint's device and needs no rule. What a peer opens towards an announced address is answered by the main table: it leaves by the
 * best default route, whichever interface that is; when that link is lost, both subflows are.
 */
function needsRule(endpoint: PlannedEndpoint, main: MainRoutes, foreign: readonly ForeignRule[]): boolean {
  const family = familyOf(endpoint.address);
  const best = main.best(family);
  if (!best || best.outputInterface === endpoint.interfaceIndex) return false;
  const bytes = addressBytes(endpoint.address) ?? [];
  return !foreign.some((rule) => rule.family === family && sharePrefix(rule.source, bytes, rule.sourceLength));
}

interface ForeignRule {
  readonly family: number;
  readonly source: readonly number[];
  readonly sourceLength: number;
}

/** Somebody else's policy routing, which already decides for some sources. */
function foreignRules(rules: readonly Rule[]): ForeignRule[] {
  return rules.flatMap(({ protocol, source, sourceLength, action, family }): ForeignRule[] => {
    if (protocol === OUR_PROTOCOL || source === undefined || sourceLength === 0) return [];
    return action === FR_ACT_TO_TABLE ? [{ family, source: addressBytes(source) ?? [], sourceLength }] : [];
  });
}

const LINK_LOCAL = /^fe[89ab]/;

/** The interface's routes of the main table, connected ones first: a gateway must be reachable when its route is added. */
function tableRoutes(routes: readonly Route[], family: number, table: number): PlannedRoute[] {
  return routes
    .filter(({ destination }) => !(destination !== undefined && LINK_LOCAL.test(destination)))
    .map(({ destination, destinationLength, gateway, outputInterface, priority, scope, preferredSource }) => ({
      family,
      destination,
      destinationLength,
      gateway,
      outputInterface,
      table,
      priority,
      scope,
      preferredSource,
    }))
    .sort((a, b) => Number(a.gateway !== undefined) - Number(b.gateway !== undefined));
}

/** Names a route among those of a table; gateway and preferred source are part of it, so that a change is delete and add. */
export function routeKey(route: PlannedRoute): string {
  const { family, destination, destinationLength, gateway, outputInterface, table, priority, preferredSource } = route;
  return `${family} ${destination ?? "default"}/${destinationLength} via ${gateway ?? "-"} dev ${outputInterface} table ${table} metric ${priority} src ${preferredSource ?? "-"}`;
}

export function ruleKey({ family, source, sourceLength, table }: PlannedRule): string {
  return `${family} from ${source}/${sourceLength} lookup ${table}`;
}
