import { type Haste, type HostAddress, type HostLink, REST } from "../host/index.ts";
import type { NetlinkSubscription, Rtnl } from "../netlink/index.ts";
import { type Address, AF_INET, familyOf, type Millis } from "../types/index.ts";
import {
  IFF,
  type InterfaceAddress,
  type Link,
  type Route,
  RT_TABLE,
  type RtnlEvent,
  type Rule,
} from "../wire/index.ts";
import { Pace } from "./pace.ts";
import { HostReader } from "./reader.ts";
import { isOurs, RouteModel, type RouteScope } from "./route-model.ts";
import { RouteReader, type Warnings } from "./route-reader.ts";

export interface NetworkListener {
  /** Something was heard: before {@link onChange}, and also when nothing follows from it. */
  readonly onBatch: () => void;
  readonly onChange: (haste: Haste) => void;
  /** Is anything of ours there? A loss elsewhere is in no haste: a host of containers loses hundreds of links a second. */
  readonly isOurs: (interfaceIndex: number, address?: Address) => boolean;
}

/** More addresses or tables than these are not asked for one by one. */
const ONE_BY_ONE_MAX = 256;

export interface NetworkModelOptions extends NetworkListener {
  readonly rtnl: Rtnl;
  readonly now: () => Millis;
  readonly log: Warnings;
}

/** Links, addresses, routes and rules of the namespace, kept in step with rtnetlink. */
export class NetworkModel implements Disposable {
  readonly #options: NetworkModelOptions;
  readonly #links = new Map<number, HostLink>();
  readonly #addresses = new Map<string, InterfaceAddress>();
  readonly #rules = new Map<string, Rule>();
  readonly #reader: HostReader;
  readonly #routeReader: RouteReader;
  readonly #subscription: NetlinkSubscription;
  readonly #refreshing: Pace;
  #routes = new RouteModel();
  #connections: ReadonlyMap<number, string> = new Map();
  #pending: Haste | undefined;
  #revision = 0;
  #addressRevision = 0;
  #losses = 0;
  /** As they are given out, until something changes. */
  #addressList: readonly HostAddress[] | undefined;
  #linkList: readonly HostLink[] | undefined;
  /**
   * IPv4 routes go without a word of their own with their link or their source address, and when another takes their place. What
   * is known to go so is taken out at once; the kernel is asked all the same, as soon as that is cheap.
   */
  #routesAreDoubtful = false;
  /** What was there before us is looked for everywhere, once. */
  #isRead = false;

  /** Subscribes first, then dumps: what changes in between is seen twice, not missed. */
  constructor(options: NetworkModelOptions) {
    this.#options = options;
    const { rtnl, now, log } = options;
    this.#reader = new HostReader(rtnl);
    this.#routeReader = new RouteReader({
      rtnl,
      scope: () => this.#scope(),
      now,
      log,
      onRead: (routes) => this.#onRoutesRead(routes),
    });
    this.#refreshing = new Pace({ now, rest: REST, run: () => this.#refreshPieceByPiece() });
    this.#subscription = rtnl.watch({
      onEvent: (event) => this.#onEvent(event),
      onOverrun: () => this.#refreshing.ask(),
      onBatchEnd: () => this.#onBatchEnd(),
      wantsRoute: (head) => this.#routes.wants(head) || this.#routeReader.reading?.wants(head) === true,
    });
    this.#read();
  }

  [Symbol.dispose](): void {
    this.#routeReader[Symbol.dispose]();
    this.#refreshing[Symbol.dispose]();
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

  /** Another number after whatever may take a path away: something went, or a link changed. */
  get losses(): number {
    return this.#losses;
  }

  /** Another number after each change of the addresses. */
  get addressRevision(): number {
    return this.#addressRevision;
  }

  get links(): readonly HostLink[] {
    this.#linkList ??= [...this.#links.values()];
    return this.#linkList;
  }

  get addresses(): readonly HostAddress[] {
    this.#addressList ??= [...this.#addresses.values()].map((each) =>
      this.#isUnrouted(each) ? { ...each, unrouted: true } : each,
    );
    return this.#addressList;
  }

  /** Unicast routes of the main table as far as a plan uses them ({@link RouteModel}), and ours. */
  get routes(): readonly Route[] {
    return this.#routes.routes;
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
    for (const link of [...this.#links.values()]) this.#putLink(link, link);
  }

  /** Dumps everything anew, now. Tells of a loss, which is served at once. */
  refresh(): void {
    this.#read();
    this.#options.onChange("loss");
  }

  #read(): void {
    // Everything is there before anything is forgotten: a dump that fails must not look like a host without a network.
    const tables = this.#readTables();
    this.#putTables(tables);
    this.#putRoutes(this.#routeReader.readNow());
  }

  /** Messages were lost. A full routing table is read between whatever else there is to do. */
  #refreshPieceByPiece(): void {
    this.#putTables(this.#readTables());
    this.#options.onChange("loss");
    this.#routeReader.ask();
  }

  #scope(): RouteScope {
    const rules = [...this.#rules.values()];
    const routes = this.#isRead ? [...this.#routes.routes, ...rules].filter(isOurs) : undefined;
    const ours = routes && [...new Set(routes.map(({ table }) => table))];
    this.#isRead = true;
    return { local: this.#localAddresses(rules), ours: ours && ours.length <= ONE_BY_ONE_MAX ? ours : undefined };
  }

  /** Where each has one local route, which is found first, in the table that all ask first. */
  #localAddresses(rules: readonly Rule[]): readonly Address[] | undefined {
    const all = [...this.#addresses.values()].map(({ address }) => address);
    const local = all.filter((address) => familyOf(address) === AF_INET);
    const isPlain = rules.some(({ family, priority, table, source, destination, inputInterface }) => {
      const isForAll = source === undefined && destination === undefined && inputInterface === undefined;
      return family === AF_INET && priority === 0 && table === RT_TABLE.LOCAL && isForAll;
    });
    const hasVrf = [...this.#links.values()].some(({ kind }) => kind === "vrf");
    return isPlain && !hasVrf && local.length <= ONE_BY_ONE_MAX && new Set(local).size === local.length
      ? local
      : undefined;
  }

  #readTables(): Tables {
    const { rtnl } = this.#options;
    return { links: rtnl.links(), addresses: this.#reader.addresses(), rules: this.#reader.rules() };
  }

  #putTables({ links, addresses, rules }: Tables): void {
    const known = new Map(this.#links);
    this.#links.clear();
    this.#addresses.clear();
    this.#onAddresses();
    this.#rules.clear();
    for (const link of links) this.#putLink(link, known.get(link.index));
    for (const address of addresses) this.#addresses.set(addressKey(address), address);
    for (const rule of rules) this.#rules.set(ruleKey(rule), rule);
  }

  #putRoutes(routes: RouteModel): void {
    this.#routesAreDoubtful = false;
    this.#revision++;
    this.#addressList = undefined;
    this.#routes = routes;
  }

  #onRoutesRead(routes: RouteModel): void {
    const isAsKnown = routes.equals(this.#routes);
    this.#putRoutes(routes);
    if (!isAsKnown) this.#options.onChange("loss");
  }

  #onAddresses(): void {
    this.#addressRevision++;
    this.#addressList = undefined;
  }

  #isUnrouted({ interfaceIndex, address }: InterfaceAddress): boolean {
    return familyOf(address) === AF_INET && !this.#routes.isRouted(interfaceIndex, address);
  }

  #putLink(link: Link, known: HostLink | undefined): void {
    this.#linkList = undefined;
    const connection = this.#connections.get(link.index);
    this.#links.set(link.index, this.#reader.link(link, { link: known, connection }));
  }

  #onEvent(event: RtnlEvent): void {
    this.#revision++;
    const gone = event.change === "del";
    if (gone || event.kind === "link") this.#losses++;
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
    this.#onAddresses();
    const { interfaceIndex, address: local } = address;
    if (gone) {
      this.#addresses.delete(addressKey(address));
      this.#eachRouteModel((routes) => routes.onAddressGone(interfaceIndex, local));
      this.#routesAreDoubtful = true;
      return this.#note(this.#options.isOurs(interfaceIndex, local) ? "loss" : "gain");
    }
    this.#addresses.set(addressKey(address), address);
    // Of use with its local route only, of which the kernel tells next.
    if (!this.#isUnrouted(address)) this.#note("gain");
  }

  #onRoute(route: Route, gone: boolean, replaces: boolean): void {
    this.#addressList = undefined;
    this.#eachRouteModel((routes) => {
      if (gone) routes.delete(route);
      else if (replaces) routes.replace(route);
      else routes.add(route);
    });
    if (replaces) this.#routesAreDoubtful = true;
    const isLoss = gone && (this.#options.isOurs(route.outputInterface) || route.table !== RT_TABLE.MAIN);
    this.#note(isLoss ? "loss" : "gain");
  }

  #onLink(link: Link, gone: boolean): void {
    const before = this.#links.get(link.index);
    if (gone) {
      this.#links.delete(link.index);
      this.#linkList = undefined;
    } else this.#putLink(link, before);
    if (gone || !(link.flags & IFF.UP)) {
      this.#addressList = undefined;
      this.#eachRouteModel((routes) => routes.onLinkDown(link.index));
      this.#routesAreDoubtful = true;
    }
    const isLost = gone || (before !== undefined && carries(before) && !carries(link));
    this.#note(isLost && this.#options.isOurs(link.index) ? "loss" : "gain");
  }

  #eachRouteModel(change: (routes: RouteModel) => void): void {
    change(this.#routes);
    if (this.#routeReader.reading) change(this.#routeReader.reading);
  }

  #note(haste: Haste): void {
    if (this.#pending !== "loss") this.#pending = haste;
  }

  #onBatchEnd(): void {
    this.#options.onBatch();
    const haste = this.#pending;
    this.#pending = undefined;
    // What is known to be lost is served first; whether it is so, right after.
    if (haste) this.#options.onChange(haste);
    if (!this.#routesAreDoubtful) return;
    this.#routesAreDoubtful = false;
    this.#routeReader.ask();
  }
}

interface Tables {
  readonly links: readonly Link[];
  readonly addresses: readonly InterfaceAddress[];
  readonly rules: readonly Rule[];
}

function carries(link: Link): boolean {
  return (link.flags & IFF.UP) !== 0 && link.carrier;
}

function addressKey({ interfaceIndex, address, prefixLength }: InterfaceAddress): string {
  return `${interfaceIndex} ${address}/${prefixLength}`;
}

function ruleKey(rule: Rule): string {
  return JSON.stringify(rule);
}
