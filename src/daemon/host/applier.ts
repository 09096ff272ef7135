import {
  commandLine,
  endpointKey,
  type HostChange,
  isFailure,
  OUR_PROTOCOL,
  type PlannedRoute,
  RULE_PRIORITY,
} from "../../host/index.ts";
import { type Rtnl, writeSysctl } from "../../netlink/index.ts";
import { ERRNO, errnoName } from "../../types/index.ts";
import type { Logger } from "../logger.ts";
import { type EndpointPort, newEndpoint, type Refusal, refusalOf } from "./endpoint-port.ts";

export interface ApplierOptions {
  readonly endpoints: EndpointPort;
  readonly rtnl: Rtnl;
  readonly log: Logger;
  readonly nameOf: (interfaceIndex: number) => string;
  /** Told of what was done, as the command that it amounts to. */
  readonly onDone?: ((type: HostChange["type"], line: string) => void) | undefined;
}

/** How a request ends of which nobody knows what became: what the kernel does not want it says in other words. */
const ANSWER_LOST: ReadonlySet<number> = new Set([ERRNO.ETIMEDOUT, ERRNO.ENOBUFS, ERRNO.ENOMEM, ERRNO.EINTR]);

/** Of addresses that come and go there may be any number. */
const REFUSED_MAX = 256;

/** Carries changes of a host out, one by one, and says how it went. */
export class Applier {
  readonly #options: ApplierOptions;
  /** What was refused at its last try, and why: it is tried again every other second, and said once. */
  readonly #refused = new Map<string, number>();

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  /** @returns for each an errno; 0: it was done */
  apply(changes: readonly HostChange[]): readonly number[] {
    const refusals = changes.map((change) => this.#run(change));
    for (const [index, change] of changes.entries()) this.#report(change, refusals[index]);
    return refusals.map((refused) => refused?.errno ?? 0);
  }

  /** Says that somebody else has carried it out. */
  report(change: HostChange, how: string): void {
    const line = `${this.#line(change)} (${how})`;
    this.#options.log.info(line);
    this.#options.onDone?.(change.type, line);
  }

  #run(action: HostChange): Refusal | undefined {
    const { endpoints, rtnl } = this.#options;
    switch (action.type) {
      case "endpoint.add": {
        const refused = endpoints.add(newEndpoint(action.endpoint));
        return refused && this.#isThereAllTheSame(action, refused) ? undefined : refused;
      }
      case "endpoint.delete":
        return endpoints.remove({ id: action.id, isLoss: action.isLoss });
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
  #isThereAllTheSame({ endpoint }: Extract<HostChange, { type: "endpoint.add" }>, { errno }: Refusal): boolean {
    const key = endpointKey(endpoint);
    return ANSWER_LOST.has(errno) && this.#options.endpoints.endpoints().some((each) => endpointKey(each) === key);
  }

  #route(change: "add" | "delete", route: PlannedRoute): Refusal | undefined {
    return refusalOf(() => this.#options.rtnl.changeRoute(change, { ...route, protocol: OUR_PROTOCOL }));
  }

  #report(action: HostChange, refused: Refusal | undefined): void {
    const { log } = this.#options;
    const line = this.#line(action);
    if (!refused) {
      this.#refused.delete(line);
      log.info(line);
      this.#options.onDone?.(action.type, line);
    } else if (isFailure(refused.errno) && this.#isNews(line, refused.errno))
      log.warn(`${line}: ${errnoName(refused.errno)} ${refused.message}`);
    else log.debug(`${line}: ${errnoName(refused.errno)}`);
  }

  #isNews(line: string, errno: number): boolean {
    if (this.#refused.get(line) === errno) return false;
    if (this.#refused.size >= REFUSED_MAX) this.#refused.clear();
    this.#refused.set(line, errno);
    return true;
  }

  /** The daemon's own table is none of ip(8)'s: `subflow endpoint` is what reaches it. */
  #line(change: HostChange): string {
    const { nameOf, endpoints } = this.#options;
    return commandLine(change, nameOf, () => (endpoints.requests ? "ip mptcp" : "subflow"));
  }
}
