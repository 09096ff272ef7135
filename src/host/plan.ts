import type { Limits } from "../types/index.ts";
import type { HostConfig } from "./config.ts";
import { type LeftOutEndpoint, type PlannedEndpoint, planEndpoints } from "./endpoints.ts";
import type { HostFacts, HostMemory } from "./facts.ts";
import { shaped, unwanted } from "./kernel-policy.ts";
import { planLimits } from "./limits.ts";
import { MainRoutes } from "./main-routes.ts";
import { type PlannedRoute, type PlannedRule, planRouting } from "./routing.ts";
import { type PlannedSysctl, planSysctls } from "./sysctls.ts";

/** What a host should be like. */
export interface HostPlan {
  readonly endpoints: readonly PlannedEndpoint[];
  /** undefined: left as they are. */
  readonly limits: Limits | undefined;
  readonly rules: readonly PlannedRule[];
  readonly routes: readonly PlannedRoute[];
  readonly sysctls: readonly PlannedSysctl[];
  readonly leftOut: readonly LeftOutEndpoint[];
}

/** The plan: a pure function of what is observed, of the configuration, and of what we did before. */
export function planHost(
  facts: HostFacts,
  config: HostConfig,
  memory: HostMemory,
  main = new MainRoutes(facts.routes),
): HostPlan {
  const { endpoints: wanted, leftOut } = planEndpoints(facts, main, config, memory);
  const endpoints = config.plansPairs ? wanted : shaped(wanted, config, facts, memory);
  const { rules, routes } = planRouting(facts, main, config, endpoints);
  return {
    endpoints,
    limits: planLimits(facts, config, endpoints),
    rules,
    routes,
    sysctls: planSysctls(facts, config, endpoints),
    leftOut: [...leftOut, ...unwanted(wanted, config)],
  };
}
