import {
  type HostAddress,
  type HostLink,
  interfaceKind,
  OUR_PROTOCOL,
  type PlannedRoute,
  routeKey,
} from "../../host/index.ts";
import type { NetlinkSubscription, Rtnl } from "../../netlink/index.ts";
import { AF_INET, familyOf } from "../../types/index.ts";
import {
  IFF,
  type InterfaceAddress,
  type Link,
  type Route,
  RT_TABLE,
  RTN,
  type RtnlEvent,
  type Rule,
} from "../../wire/index.ts";
import { sysfsFacts } from "./sysfs.ts";

/** What changed, as far as the next plan's haste depends on it. */
export type Change = "loss" | "gain";

export interface NetworkListener {
  /** Something was heard: before {@link onChange}, and also when nothing follows from it. */
  readonly onBatch: () => void;
  readonly onChange: (change: Change) => void;
}

/** Links, addresses, routes and rules of the namespace, kept in step with rtnetlink. */
export class NetworkModel implements Disposable {
  readonly #rtnl: Rtnl;
  readonly #listener: NetworkListener;
  readonly #links = new Map<number, HostLink>();
  readonly #addresses = new Map<string, InterfaceAddress>();
  readonly #routes = new Map<string, Route>();
  readonly #rules = new Map<string, Rule>();
  /**
   * IPv4 addresses that had their local route since they came, or since their link came up, {@link localKey}. That it goes
   * alone says nothing: the kernel takes it away for a moment when a secondary address is promoted (__inet_del_ifa).
   */
  readonly #routed = new Set<string>();
  readonly #subscription: NetlinkSubscription;
  #connections: ReadonlyMap<number, string> = new Map();
  #pending: Change | undefined;
  #revision = 0;
  #addressRevision = 0;
  /**
   * IPv4 routes go without a word of their own when their link goes down (fib_sync_down_dev), when their source address is
   * deleted (fib_sync_down_addr), and when another takes their place: then they are read anew.
   */
  #routesAreStale = false;

  /** Subscribes first, then dumps: what changes in between is seen twice, not missed. */
  constructor(rtnl: Rtnl, listener: NetworkListener) {
    this.#rtnl = rtnl;
    this.#listener = listener;
    this.#subscription = rtnl.watch(
      (event) => this.#onEvent(event),
      () => this.refresh(),
      () => this.#onBatchEnd(),
    );
    this.#read();
  }

  [Symbol.dispose](): void {
    this.#subscription.close();
  }

  /** Where the changes come from. */
  get subscription(): NetlinkSubscription {
    return this.#subscription;
  }

  /** Another number after each change. */
  get revision(): number {
    return this.#revision;
  }

  /** Another number after each change of the addresses. */
  get addressRevision(): number {
    return this.#addressRevision;
  }

  get links(): readonly HostLink[] {
    return [...this.#links.values()];
  }

  get addresses(): readonly HostAddress[] {
    return [...this.#addresses.values()].map((each) => (this.#isUnrouted(each) ? { ...each, unrouted: true } : each));
  }

  /** Unicast routes of the main table, and ours. */
  get routes(): readonly Route[] {
    return [...this.#routes.values()];
  }

  get rules(): readonly Rule[] {
    return [...this.#rules.values()];
  }

  nameOf(interfaceIndex: number): string {
    return this.#links.get(interfaceIndex)?.name ?? `if${interfaceIndex}`;
  }

  /** What other managers call the connections of these interfaces. */
  setConnectionNames(names: ReadonlyMap<number, string>): void {
    this.#connections = names;
    this.#revision++;
    for (const link of [...this.#links.values()]) this.#putLink(link);
  }

  /** Dumps everything anew: after an overrun, and in the slow audit. Tells of a loss, which is served at once. */
  refresh(): void {
    this.#read();
    this.#listener.onChange("loss");
  }

  #read(): void {
    // Everything is there before anything is forgotten: a dump that fails must not look like a host without a network.
    const [links, addresses, rules] = [this.#rtnl.links(), this.#rtnl.addresses(), this.#rtnl.rules()];
    const routes = this.#rtnl.routes();
    this.#links.clear();
    this.#addresses.clear();
    this.#addressRevision++;
    this.#rules.clear();
    this.#routed.clear();
    for (const link of links) this.#putLink(link);
    for (const address of addresses) this.#addresses.set(addressKey(address), address);
    this.#putRoutes(routes);
    for (const rule of rules) this.#rules.set(ruleKey(rule), rule);
  }

  #putRoutes(routes: readonly Route[]): void {
    this.#routesAreStale = false;
    this.#revision++;
    this.#routes.clear();
    for (const route of routes) {
      if (isLocal(route)) this.#routed.add(localKey(route.outputInterface, route.destination));
      else if (isFollowed(route)) this.#routes.set(keyOfRoute(route), route);
    }
  }

  #isUnrouted({ interfaceIndex, address }: InterfaceAddress): boolean {
    return familyOf(address) === AF_INET && !this.#routed.has(localKey(interfaceIndex, address));
  }

  #putLink(link: Link): void {
    const known = this.#links.get(link.index);
    const kind = known?.name === link.name ? known.interfaceKind : undefined;
    this.#links.set(link.index, {
      ...link,
      interfaceKind:
        kind !== undefined && known?.master === link.master ? kind : interfaceKind(link, sysfsFacts(link.name)),
      connection: this.#connections.get(link.index),
    });
  }

  #onEvent(event: RtnlEvent): void {
    this.#revision++;
    const gone = event.change === "del";
    switch (event.kind) {
      case "link":
        return this.#onLink(event.link, gone);
      case "address":
        return this.#onAddress(event.address, gone);
      case "route":
        return this.#onRoute(event.route, gone, event.replaces);
      case "rule":
        if (gone) this.#rules.delete(ruleKey(event.rule));
        else this.#rules.set(ruleKey(event.rule), event.rule);
        return this.#note("gain");
    }
  }

  #onAddress(address: InterfaceAddress, gone: boolean): void {
    this.#addressRevision++;
    if (gone) {
      this.#addresses.delete(addressKey(address));
      this.#routed.delete(localKey(address.interfaceIndex, address.address));
      this.#routesAreStale = true;
      return this.#note("loss");
    }
    this.#addresses.set(addressKey(address), address);
    // Of use with its local route only, of which the kernel tells next.
    if (!this.#isUnrouted(address)) this.#note("gain");
  }

  #onRoute(route: Route, gone: boolean, replaces: boolean): void {
    if (isLocal(route)) {
      if (gone) return;
      this.#routed.add(localKey(route.outputInterface, route.destination));
    } else if (isFollowed(route)) {
      if (replaces) this.#routesAreStale = true;
      if (gone) this.#routes.delete(keyOfRoute(route));
      else this.#routes.set(keyOfRoute(route), route);
    } else return;
    this.#note(gone ? "loss" : "gain");
  }

  #onLink(link: Link, gone: boolean): void {
    const before = this.#links.get(link.index);
    if (gone) this.#links.delete(link.index);
    else this.#putLink(link);
    if (gone || !(link.flags & IFF.UP)) {
      this.#routesAreStale = true;
      for (const { interfaceIndex, address } of this.#addresses.values())
        if (interfaceIndex === link.index) this.#routed.delete(localKey(interfaceIndex, address));
    }
    this.#note(gone || (before !== undefined && carries(before) && !carries(link)) ? "loss" : "gain");
  }

  #note(change: Change): void {
    if (this.#pending !== "loss") this.#pending = change;
  }

  #onBatchEnd(): void {
    this.#listener.onBatch();
    const change = this.#pending;
    this.#pending = undefined;
    // What is known to be lost is served first; what went with it in silence, right after.
    if (change) this.#listener.onChange(change);
    if (!this.#routesAreStale) return;
    this.#putRoutes(this.#rtnl.routes());
    this.#listener.onChange("loss");
  }
}

function carries(link: Link): boolean {
  return (link.flags & IFF.UP) !== 0 && link.carrier;
}

function isFollowed(route: Route): boolean {
  return (route.table === RT_TABLE.MAIN && route.type === RTN.UNICAST) || route.protocol === OUR_PROTOCOL;
}

function isLocal(route: Route): boolean {
  return route.type === RTN.LOCAL && route.family === AF_INET;
}

function localKey(interfaceIndex: number, address: string | undefined): string {
  return `${interfaceIndex} ${address}`;
}

function addressKey({ interfaceIndex, address, prefixLength }: InterfaceAddress): string {
  return `${interfaceIndex} ${address}/${prefixLength}`;
}

function keyOfRoute(route: Route): string {
  return `${routeKey(route satisfies PlannedRoute)} proto ${route.protocol}`;
}

function ruleKey(rule: Rule): string {
  return JSON.stringify(rule);
}
