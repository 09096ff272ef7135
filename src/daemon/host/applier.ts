import {
  commandLine,
  endpointKey,
  type HostAction,
  OUR_PROTOCOL,
  type PlannedRoute,
  RULE_PRIORITY,
} from "../../host/index.ts";
import { type Rtnl, writeSysctl } from "../../netlink/index.ts";
import { ERRNO, errnoName, type Limits } from "../../types/index.ts";
import type { Logger } from "../logger.ts";
import { type EndpointPort, newEndpoint, type Refusal, refusalOf } from "./endpoint-port.ts";
import type { Memory } from "./memory.ts";

export interface ApplierOptions {
  readonly endpoints: EndpointPort;
  readonly rtnl: Rtnl;
  readonly memory: Memory;
  readonly log: Logger;
  readonly nameOf: (interfaceIndex: number) => string;
}

/** What "it is so already" looks like: somebody, or a link that went, was faster. */
const DONE_ALREADY: ReadonlySet<number> = new Set([ERRNO.EEXIST, ERRNO.ENOENT, ERRNO.ESRCH, ERRNO.ENODEV]);

function isFailure(refused: Refusal | undefined): boolean {
  return refused !== undefined && !DONE_ALREADY.has(refused.errno);
}

/** How a request ends of which nobody knows what became: what the kernel does not want it says in other words. */
const ANSWER_LOST: ReadonlySet<number> = new Set([ERRNO.ETIMEDOUT, ERRNO.ENOBUFS, ERRNO.ENOMEM, ERRNO.EINTR]);

/** Carries host actions out, one by one, and remembers what is ours. */
export class Applier {
  readonly #options: ApplierOptions;

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  /**
   * @param limitsBefore the limits in force, remembered before the first change
   * @returns what was refused
   */
  apply(actions: readonly HostAction[], limitsBefore: Limits): readonly HostAction[] {
    if (actions.length === 0) return [];
    const { memory } = this.#options;
    // What was there before us is written down before it is changed. That an endpoint is ours may be written after: the next
    // life knows it by its likeness (HostMemory.afterCrash), and every microsecond until it is there counts.
    if (this.#rememberOriginals(actions, limitsBefore)) memory.save();
    const results = actions.map((action) => this.#run(action));
    if (this.#rememberOwnership(actions, results)) memory.save();
    for (const [index, action] of actions.entries()) this.#report(action, results[index]);
    return actions.filter((_, index) => isFailure(results[index]));
  }

  /** @returns whether there is something new to write down */
  #rememberOriginals(actions: readonly HostAction[], limitsBefore: Limits): boolean {
    const { memory } = this.#options;
    let changed = false;
    for (const action of actions) {
      if (action.type === "limits.set" && memory.limits === undefined) memory.limits = limitsBefore;
      else if (action.type === "sysctl.set" && action.before !== undefined && !memory.sysctls.has(action.name)) {
        memory.sysctls.set(action.name, action.before);
      } else continue;
      changed = true;
    }
    return changed;
  }

  #rememberOwnership(actions: readonly HostAction[], results: readonly (Refusal | undefined)[]): boolean {
    const { owned, sysctls } = this.#options.memory;
    const before = owned.size + sysctls.size;
    const keys = [...owned].join();
    for (const [index, action] of actions.entries()) {
      // What was not taken back is still to be taken back.
      if (isFailure(results[index])) continue;
      // What somebody else added a moment before us is theirs.
      if (action.type === "endpoint.add" && !results[index]) owned.add(endpointKey(action.endpoint));
      else if (action.type === "endpoint.adopt") owned.add(endpointKey(action));
      else if (action.type === "endpoint.delete") owned.delete(endpointKey(action));
      else if (action.type === "sysctl.set" && action.before === undefined) sysctls.delete(action.name);
    }
    return before !== owned.size + sysctls.size || keys !== [...owned].join();
  }

  #run(action: HostAction): Refusal | undefined {
    const { endpoints, rtnl } = this.#options;
    switch (action.type) {
      case "endpoint.add": {
        const refused = endpoints.add(newEndpoint(action.endpoint));
        return refused && this.#isThereAllTheSame(action, refused) ? undefined : refused;
      }
      case "endpoint.delete":
        return endpoints.remove({ id: action.id });
      case "endpoint.flags":
        return endpoints.change({ id: action.id, flags: action.flags });
      case "endpoint.adopt":
        return undefined;
      case "limits.set":
        return endpoints.setLimits(action.limits);
      case "rule.add":
      case "rule.delete": {
        const change = action.type === "rule.add" ? "add" : "delete";
        return refusalOf(() =>
          rtnl.changeRule(change, { ...action.rule, priority: RULE_PRIORITY, protocol: OUR_PROTOCOL }),
        );
      }
      case "route.add":
      case "route.delete":
        return this.#route(action.type === "route.add" ? "add" : "delete", action.route);
      case "sysctl.set":
        return refusalOf(() => writeSysctl(action.name, action.value));
    }
  }

  /** The answer was lost, not the request: what is there is ours, or it would never be taken back. */
  #isThereAllTheSame({ endpoint }: Extract<HostAction, { type: "endpoint.add" }>, { errno }: Refusal): boolean {
    const key = endpointKey(endpoint);
    return ANSWER_LOST.has(errno) && this.#options.endpoints.endpoints().some((each) => endpointKey(each) === key);
  }

  #route(change: "add" | "delete", route: PlannedRoute): Refusal | undefined {
    return refusalOf(() => this.#options.rtnl.changeRoute(change, { ...route, protocol: OUR_PROTOCOL }));
  }

  #report(action: HostAction, refused: Refusal | undefined): void {
    const { log, nameOf, endpoints } = this.#options;
    // The daemon's own table is none of ip(8)'s: `subflow endpoint` is what reaches it.
    const line = commandLine(action, nameOf, () => (endpoints.requests ? "ip mptcp" : "subflow"));
    if (!refused) log.info(line);
    else if (DONE_ALREADY.has(refused.errno)) log.debug(`${line}: ${errnoName(refused.errno)}`);
    else log.warn(`${line}: ${errnoName(refused.errno)} ${refused.message}`);
  }
}
