import { OUR_PROTOCOL, type PlannedRoute, routeKey } from "../host/index.ts";
import type { RouteQuery } from "../netlink/index.ts";
import { type Address, AF_INET, AF_INET6 } from "../types/index.ts";
import { type Route, type RouteHead, RT_TABLE, RTN, RTPROT_KERNEL } from "../wire/index.ts";

/**
 * Further routes of the main table that are kept of an interface and family. A table of ours copies them; one with a full
 * routing table behind it has default and connected routes only, which is what a gateway's network needs.
 */
export const FURTHER_MAX = 256;

/** Where the routes that are followed can be. */
export interface RouteScope {
  /** IPv4 addresses to be asked for one by one; undefined: that would say less than a dump, or cost more. */
  readonly local: readonly Address[] | undefined;
  /** Tables that may have routes of ours; undefined: any. */
  readonly ours: readonly number[] | undefined;
}

/**
 * What a dump is asked for, so that the kernel leaves out what nobody wants. It leaves out route by route, in one system call: where a table is
 * not named it goes through a full one to find nothing (27 ms for 200,000 routes), and the local table is the same as the main one until somebody adds a rule.
 */
export function followed({ local, ours }: RouteScope): readonly RouteQuery[] {
  return [
    ...(local ? [] : [{ family: AF_INET, type: RTN.LOCAL }]),
    ...[AF_INET, AF_INET6].flatMap((family) => [
      { family, table: RT_TABLE.MAIN, type: RTN.UNICAST },
      ...(ours ?? [undefined]).map((table) => ({
        family,
        protocol: OUR_PROTOCOL,
        ...(table !== undefined && { table }),
      })),
    ]),
  ];
}

/** The routes of a namespace, as far as a plan depends on them: however many there are, few are kept. */
export class RouteModel {
  /** Default routes, connected ones, and ours. */
  readonly #kept = new Map<string, Route>();
  /** By interface and family: the others of the main table; undefined: they are too many. */
  readonly #further = new Map<number, Map<string, Route> | undefined>();
  /**
   * IPv4 addresses that had their local route since they came, or since their link came up, {@link localKey}. That it goes
   * alone says nothing: the kernel takes it away for a moment when a secondary address is promoted (__inet_del_ifa).
   */
  readonly #routed = new Set<string>();
  #list: readonly Route[] | undefined;

  get routes(): readonly Route[] {
    this.#list ??= [
      ...this.#kept.values(),
      ...[...this.#further.values()].flatMap((routes) => [...(routes ?? [])].map(([, route]) => route)),
    ];
    return this.#list;
  }

  /** Does the kernel take packets to the address? */
  isRouted(interfaceIndex: number, address: Address): boolean {
    return this.#routed.has(localKey(interfaceIndex, address));
  }

  /** Judged before it is decoded. */
  wants(head: RouteHead): boolean {
    if (head.type === RTN.LOCAL) return head.family === AF_INET;
    if (isOurs(head)) return true;
    if (head.type !== RTN.UNICAST || head.table !== RT_TABLE.MAIN) return false;
    if (isAlwaysKept(head)) return true;
    const key = furtherKey(head);
    return !this.#further.has(key) || this.#further.get(key) !== undefined;
  }

  add(route: Route): void {
    if (route.type === RTN.LOCAL) {
      this.#routed.add(localKey(route.outputInterface, route.destination));
      return;
    }
    this.#list = undefined;
    if (isAlwaysKept(route)) this.#kept.set(keyOfRoute(route), route);
    else this.#addFurther(route);
  }

  /** One that replaces goes in the place of that with its destination, table and metric, of which the kernel says nothing. */
  replace(route: Route): void {
    for (const routes of [this.#kept, ...this.#further.values()])
      for (const [key, other] of routes ?? []) if (isInPlaceOf(route, other)) routes?.delete(key);
    this.add(route);
  }

  delete(route: Route): void {
    if (route.type === RTN.LOCAL) return;
    this.#list = undefined;
    const routes = isAlwaysKept(route) ? this.#kept : this.#further.get(furtherKey(route));
    routes?.delete(keyOfRoute(route));
  }

  /** IPv4 routes go in silence when their link goes down (fib_sync_down_dev). */
  onLinkDown(interfaceIndex: number): void {
    this.#list = undefined;
    this.#further.delete(furtherKey({ outputInterface: interfaceIndex, family: AF_INET }));
    for (const [key, { outputInterface, family }] of this.#kept)
      if (outputInterface === interfaceIndex && family === AF_INET) this.#kept.delete(key);
    const prefix = localKey(interfaceIndex, "");
    for (const key of this.#routed) if (key.startsWith(prefix)) this.#routed.delete(key);
  }

  /** And when the source address that they prefer is deleted (fib_sync_down_addr). */
  onAddressGone(interfaceIndex: number, address: Address): void {
    this.#list = undefined;
    this.#routed.delete(localKey(interfaceIndex, address));
    for (const routes of [this.#kept, ...this.#further.values()])
      for (const [key, { preferredSource, family }] of routes ?? [])
        if (preferredSource === address && family === AF_INET) routes?.delete(key);
  }

  /** Does a plan come out the same? */
  equals(other: RouteModel): boolean {
    return sameKeys(this.#kept, other.#kept) && sameKeys(this.#routed, other.#routed) && this.#sameFurther(other);
  }

  #sameFurther({ routes }: RouteModel): boolean {
    const theirs = new Set(routes.map(keyOfRoute));
    return theirs.size === this.routes.length && this.routes.every((route) => theirs.has(keyOfRoute(route)));
  }

  #addFurther(route: Route): void {
    const key = furtherKey(route);
    let routes = this.#further.get(key);
    if (!routes) {
      if (this.#further.has(key)) return;
      routes = new Map();
      this.#further.set(key, routes);
    }
    routes.set(keyOfRoute(route), route);
    if (routes.size > FURTHER_MAX) this.#further.set(key, undefined);
  }
}

/** Was it added by us? */
export function isOurs({ protocol }: Pick<Route, "protocol">): boolean {
  return protocol === OUR_PROTOCOL;
}

function isAlwaysKept(route: Pick<Route, "destinationLength" | "protocol">): boolean {
  return route.destinationLength === 0 || route.protocol === RTPROT_KERNEL || isOurs(route);
}

/** AF_* numbers are below 256. */
function furtherKey({ outputInterface, family }: Pick<Route, "outputInterface" | "family">): number {
  return outputInterface * 256 + family;
}

function isInPlaceOf(a: Route, b: Route): boolean {
  return (
    a.family === b.family &&
    a.table === b.table &&
    a.destinationLength === b.destinationLength &&
    a.priority === b.priority &&
    a.destination === b.destination
  );
}

function sameKeys(a: ReadonlyMap<string, unknown> | ReadonlySet<string>, b: typeof a): boolean {
  if (a.size !== b.size) return false;
  for (const key of a.keys()) if (!b.has(key)) return false;
  return true;
}

function localKey(interfaceIndex: number, address: string | undefined): string {
  return `${interfaceIndex} ${address}`;
}

function keyOfRoute(route: Route): string {
  return `${routeKey(route satisfies PlannedRoute)} proto ${route.protocol}`;
}
