import { type Address, AF_INET, AF_INET6, addressBytes, ERRNO, familyOf } from "../types/index.ts";
import {
  ADDRESS_ATTRIBUTE,
  decodeInterfaceAddress,
  decodeLink,
  decodeLinkBytes,
  decodeRoute,
  decodeRouteHead,
  decodeRtnlEvent,
  decodeRule,
  encodeDumpHeader,
  encodeInterfaceAddress,
  encodeLinkFlags,
  encodeLinkIndex,
  encodeRoute,
  encodeRule,
  IFF,
  type InterfaceAddress,
  type Link,
  type LinkBytes,
  type MessageHeader,
  NLM_F,
  ROUTE_ATTRIBUTE,
  type Route,
  type RouteHead,
  RTM,
  RTN,
  RTNLGRP,
  type RtnlEvent,
  RULE_ATTRIBUTE,
  type Rule,
  type SourceRule,
  type UnicastRoute,
} from "../wire/index.ts";
import { type Decode, NETLINK, NetlinkClient, type Request } from "./client.ts";
import { NetlinkError } from "./errors.ts";
import { NetlinkSubscription } from "./subscription.ts";

const ALL_GROUPS = [
  RTNLGRP.LINK,
  RTNLGRP.IPV4_IFADDR,
  RTNLGRP.IPV4_ROUTE,
  RTNLGRP.IPV4_RULE,
  RTNLGRP.IPV6_IFADDR,
  RTNLGRP.IPV6_ROUTE,
  RTNLGRP.IPV6_RULE,
];

/** Which routes a dump is to have: the kernel leaves out the others itself. */
export interface RouteQuery extends Pick<Route, "family"> {
  readonly table?: number;
  /** RTPROT_*. */
  readonly protocol?: number;
  /** RTN_*. */
  readonly type?: number;
}

/** Who hears of changes. */
export interface RtnlListener {
  readonly onEvent: (event: RtnlEvent) => void;
  readonly onOverrun: () => void;
  readonly onBatchEnd?: () => void;
  /** Judges a route before it is decoded; without it all are told of. */
  readonly wantsRoute?: (head: RouteHead) => boolean;
}

const RTMSG = 12;
const IFADDRMSG = 8;
/** linux/fib_rules.h. */
const FR_ACT_TO_TABLE = 1;

/** Links, addresses, routes and rules of one network namespace, over rtnetlink. Synchronous; throws NetlinkError. */
export class Rtnl implements Disposable {
  readonly #client: NetlinkClient;
  readonly #netns: string | undefined;

  private constructor(client: NetlinkClient, netns: string | undefined) {
    this.#client = client;
    this.#netns = netns;
  }

  static open(options: { readonly netns?: string | undefined } = {}): Rtnl {
    return new Rtnl(new NetlinkClient(NETLINK.ROUTE, options), options.netns);
  }

  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  links(): Link[] {
    return this.#dump("list links", RTM.GETLINK, 0, decodeLink);
  }

  /** What these links have carried, without a dump of all; those that are gone are left out. */
  linkBytes(indexes: readonly number[]): LinkBytes[] {
    const requests = indexes.map(
      (index): Request => ({
        operation: "read counters of a link",
        type: RTM.GETLINK,
        write: (writer) => encodeLinkIndex(writer, index),
      }),
    );
    return this.#client.lookUpAll(requests, NO_LINK, decodeLinkBytes).filter((answer) => answer !== undefined);
  }

  addresses(): InterfaceAddress[] {
    return this.#dump("list addresses", RTM.GETADDR, 0, decodeInterfaceAddress);
  }

  routes(): Route[] {
    return this.#bothFamilies("list routes", RTM.GETROUTE, decodeRoute);
  }

  /**
   * Reads routes piece by piece on a socket of its own: between two pieces whoever reads may let other work go first.
   * @param wants judges a route before it is decoded; a kernel that knows no filters (before 4.20) sends all
   * @param local addresses whose local routes are looked up one by one
   */
  *readRoutes(
    queries: readonly RouteQuery[],
    wants: (head: RouteHead) => boolean,
    onRoute: (route: Route) => void,
    local: readonly Address[] = [],
  ): Generator<void> {
    using client = new NetlinkClient(NETLINK.ROUTE, { netns: this.#netns });
    for (const route of client.lookUpAll(local.map(localRouteRequest), NO_ROUTE, decodeRoute))
      if (route?.type === RTN.LOCAL) onRoute(route);
    yield;
    const onMessage = (bytes: Uint8Array, header: MessageHeader): void => {
      if (wants(decodeRouteHead(bytes, header))) onRoute(decodeRoute(bytes, header));
    };
    for (const query of queries) {
      try {
        yield* client.dumpInPieces(routeDump(query), onMessage);
      } catch (error) {
        if (!(error instanceof NetlinkError)) throw error;
        // There is no such table (yet).
        if (error.errno === ERRNO.ENOENT) continue;
        if (error.errno !== ERRNO.EINVAL && error.errno !== ERRNO.EOPNOTSUPP) throw error;
        yield* client.dumpInPieces(routeDump({ family: query.family }), onMessage);
      }
    }
  }

  rules(): Rule[] {
    return this.#bothFamilies("list rules", RTM.GETRULE, decodeRule);
  }

  /**
   * Asks the kernel how it would send to `remote` (ip route get).
   * @returns undefined when it would not (no route); `preferredSource` is the source it would choose
   */
  routeTo(
    remote: Address,
    from: { readonly source?: Address; readonly interfaceIndex?: number } = {},
  ): Route | undefined {
    const family = familyOf(remote);
    const bits = (address: Address | undefined): number => (address ? (addressBytes(address)?.length ?? 0) * 8 : 0);
    const request: Request = {
      operation: "route get",
      type: RTM.GETROUTE,
      write: (writer) =>
        encodeRoute(
          writer,
          { family, destinationLength: bits(remote), sourceLength: bits(from.source) },
          { destination: remote, source: from.source, outputInterface: from.interfaceIndex || undefined },
        ),
      attributes: ROUTE_ATTRIBUTE,
      attributesAt: RTMSG,
    };
    try {
      return this.#client.get(request, decodeRoute);
    } catch (error) {
      if (error instanceof NetlinkError && NO_ROUTE.has(error.errno)) return undefined;
      throw error;
    }
  }

  /** `ip rule add from ...` and `ip rule delete`; a rule is told from others by all that is given. */
  changeRule(change: "add" | "delete", rule: SourceRule): void {
    const { family, source, sourceLength, table, priority, protocol } = rule;
    this.#client.execute({
      operation: `rule ${change}`,
      type: change === "add" ? RTM.NEWRULE : RTM.DELRULE,
      flags: change === "add" ? NLM_F.CREATE | NLM_F.EXCL : 0,
      write: (writer) =>
        encodeRule(
          writer,
          { family, sourceLength, table, type: FR_ACT_TO_TABLE },
          { source, priority, table, protocol },
        ),
      attributes: RULE_ATTRIBUTE,
      attributesAt: RTMSG,
    });
  }

  /** `ip route add` and `ip route delete` of a unicast route. */
  changeRoute(change: "add" | "delete", route: UnicastRoute): void {
    const { family, destination, destinationLength, gateway, outputInterface, table, priority, scope, protocol } =
      route;
    this.#client.execute({
      operation: `route ${change}`,
      type: change === "add" ? RTM.NEWROUTE : RTM.DELROUTE,
      flags: change === "add" ? NLM_F.CREATE | NLM_F.EXCL : 0,
      write: (writer) =>
        encodeRoute(
          writer,
          { family, destinationLength, table, protocol, scope, type: RTN.UNICAST },
          {
            destination,
            outputInterface,
            gateway,
            priority: priority || undefined,
            preferredSource: route.preferredSource,
            table,
          },
        ),
      attributes: ROUTE_ATTRIBUTE,
      attributesAt: RTMSG,
    });
  }

  /** `ip address add` and `ip address delete`. */
  changeAddress(
    change: "add" | "delete",
    { interfaceIndex, address, prefixLength }: { interfaceIndex: number; address: Address; prefixLength: number },
  ): void {
    const family = familyOf(address);
    this.#client.execute({
      operation: `address ${change}`,
      type: change === "add" ? RTM.NEWADDR : RTM.DELADDR,
      flags: change === "add" ? NLM_F.CREATE | NLM_F.EXCL : 0,
      write: (writer) =>
        encodeInterfaceAddress(writer, { family, prefixLength, interfaceIndex }, { address, local: address }),
      attributes: ADDRESS_ATTRIBUTE,
      attributesAt: IFADDRMSG,
    });
  }

  /** `ip link set up` and `down`. */
  setLinkUp(index: number, up: boolean): void {
    this.#client.execute({
      operation: `link set ${up ? "up" : "down"}`,
      type: RTM.NEWLINK,
      write: (writer) => encodeLinkFlags(writer, index, up ? IFF.UP : 0, IFF.UP),
    });
  }

  /** Calls `onEvent` for every change of links only. */
  watchLinks(onEvent: (event: RtnlEvent) => void, onOverrun: () => void): NetlinkSubscription {
    return this.#subscribe([RTNLGRP.LINK], { onEvent, onOverrun });
  }

  /** Calls `onEvent` for every change of links, addresses, routes and rules. */
  watch(listener: RtnlListener): NetlinkSubscription {
    return this.#subscribe(ALL_GROUPS, listener);
  }

  #subscribe(
    groups: readonly number[],
    { onEvent, onOverrun, onBatchEnd, wantsRoute }: RtnlListener,
  ): NetlinkSubscription {
    const isRoute = ({ type }: MessageHeader): boolean => type === RTM.NEWROUTE || type === RTM.DELROUTE;
    return new NetlinkSubscription(NETLINK.ROUTE, groups, {
      netns: this.#netns,
      onMessage: (bytes, header) => {
        if (wantsRoute && isRoute(header) && !wantsRoute(decodeRouteHead(bytes, header))) return;
        const event = decodeRtnlEvent(bytes, header);
        if (event) onEvent(event);
      },
      onOverrun,
      ...(onBatchEnd && { onBatchEnd }),
    });
  }

  #dump<T>(operation: string, type: number, family: number, decode: Decode<T>): T[] {
    return this.#client.dump({ operation, type, write: (writer) => encodeDumpHeader(writer, type, family) }, decode);
  }

  #bothFamilies<T>(operation: string, type: number, decode: Decode<T>): T[] {
    return [AF_INET, AF_INET6].flatMap((family) => this.#dump(operation, type, family, decode));
  }
}

/** Asks for the entry of the kernel's tables that packets to the address are led by, not for what becomes of it (RTM_F_FIB_MATCH). */
function localRouteRequest(address: Address): Request {
  const destinationLength = (addressBytes(address)?.length ?? 0) * 8;
  return {
    operation: "local route get",
    type: RTM.GETROUTE,
    write: (writer) =>
      encodeRoute(
        writer,
        { family: familyOf(address), destinationLength, flags: RTM_F_FIB_MATCH },
        { destination: address },
      ),
    attributes: ROUTE_ATTRIBUTE,
    attributesAt: RTMSG,
  };
}

function routeDump({ family, table, protocol, type }: RouteQuery): Request {
  return {
    operation: "list routes",
    type: RTM.GETROUTE,
    write: (writer) => encodeRoute(writer, { family, table, protocol, type }, { table }),
    attributes: ROUTE_ATTRIBUTE,
    attributesAt: RTMSG,
  };
}

const RTM_F_FIB_MATCH = 0x2000;

const NO_LINK: ReadonlySet<number> = new Set([ERRNO.ENODEV]);

/** How the kernel says that there is no way (EINVAL: the source is not ours). */
const NO_ROUTE: ReadonlySet<number> = new Set([
  ERRNO.ENETUNREACH,
  ERRNO.EHOSTUNREACH,
  ERRNO.EINVAL,
  ERRNO.EACCES,
  ERRNO.ENODEV,
]);
