import type { Address } from "../types/index.ts";
import { decode, type Encodable, encode, type Table } from "./attributes.ts";
import { readS32, readU16, readU32, readU64, type Writer } from "./bytes.ts";
import { CodecError } from "./errors.ts";
import { type MessageHeader, NLM_F } from "./message.ts";

/** RTM_* message types (linux/rtnetlink.h). */
export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWRULE: 32,
  DELRULE: 33,
  GETRULE: 34,
} as const;

/** RTNLGRP_* multicast groups. */
export const RTNLGRP = {
  LINK: 1,
  IPV4_IFADDR: 5,
  IPV4_ROUTE: 7,
  IPV4_RULE: 8,
  IPV6_IFADDR: 9,
  IPV6_ROUTE: 11,
  IPV6_RULE: 19,
} as const;

/** RTPROT_KERNEL: what the kernel adds of its own accord, the connected routes above all. */
export const RTPROT_KERNEL = 2;

/** RTN_* types of a route. */
export const RTN = { UNICAST: 1, LOCAL: 2 } as const;

/** RT_TABLE_* numbers. */
export const RT_TABLE = { MAIN: 254, LOCAL: 255 } as const;

/** IFF_* bits of a link's flags (linux/if.h). */
export const IFF = {
  UP: 0x1,
  LOOPBACK: 0x8,
  POINTOPOINT: 0x10,
  RUNNING: 0x40,
  NOARP: 0x80,
  LOWER_UP: 0x1_0000,
} as const;

/** IFA_F_* bits of an address's flags (linux/if_addr.h). */
export const IFA_F = {
  TEMPORARY: 0x01,
  NODAD: 0x02,
  OPTIMISTIC: 0x04,
  DADFAILED: 0x08,
  DEPRECATED: 0x20,
  TENTATIVE: 0x40,
  PERMANENT: 0x80,
  MANAGETEMPADDR: 0x100,
  NOPREFIXROUTE: 0x200,
  STABLE_PRIVACY: 0x800,
} as const;

/** IFLA_*: attributes of a link. */
export const LINK_ATTRIBUTE = {
  hardwareAddress: [1, "bytes"],
  name: [3, "string"],
  mtu: [4, "u32"],
  link: [5, "u32"],
  master: [10, "u32"],
  operationalState: [16, "u8"],
  info: [18, { kind: [1, "string"], slaveKind: [4, "string"] }],
  alias: [20, "string"],
  group: [27, "u32"],
  carrier: [33, "u8"],
  linkNamespaceId: [37, "s32"],
} as const satisfies Table;

/** Of a link, where its counters are wanted. */
const COUNTER_ATTRIBUTE = { name: [3, "string"], statistics: [23, "bytes"] } as const satisfies Table;
/** rtnl_link_stats64 (linux/if_link.h): its first part, and where two of its values are. */
const STATISTICS = { size: 32, received: 16, sent: 24 } as const;

/** IFA_*: attributes of an address. `local` is ours; `address` is the peer's on a point-to-point link. */
export const ADDRESS_ATTRIBUTE = {
  address: [1, "address"],
  local: [2, "address"],
  label: [3, "string"],
  broadcast: [4, "address"],
  cacheInfo: [6, "bytes"],
  flags: [8, "u32"],
  routePriority: [9, "u32"],
  protocol: [11, "u8"],
} as const satisfies Table;

/** RTA_*: attributes of a route. */
export const ROUTE_ATTRIBUTE = {
  destination: [1, "address"],
  source: [2, "address"],
  inputInterface: [3, "u32"],
  outputInterface: [4, "u32"],
  gateway: [5, "address"],
  priority: [6, "u32"],
  preferredSource: [7, "address"],
  metrics: [8, "bytes"],
  multipath: [9, "bytes"],
  table: [15, "u32"],
  mark: [16, "u32"],
  via: [18, "bytes"],
  preference: [20, "u8"],
  uid: [25, "u32"],
} as const satisfies Table;

/** FRA_*: attributes of a policy rule. */
export const RULE_ATTRIBUTE = {
  destination: [1, "address"],
  source: [2, "address"],
  inputInterface: [3, "string"],
  goto: [4, "u32"],
  priority: [6, "u32"],
  mark: [10, "u32"],
  suppressPrefixLength: [14, "u32"],
  table: [15, "u32"],
  markMask: [16, "u32"],
  outputInterface: [17, "string"],
  uidRange: [20, "bytes"],
  protocol: [21, "u8"],
  ipProtocol: [22, "u8"],
} as const satisfies Table;

/** IF_OPER_* (RFC 2863 as linux/if.h numbers it). */
export const OPERATIONAL_STATE = [
  "unknown",
  "notpresent",
  "down",
  "lowerlayerdown",
  "testing",
  "dormant",
  "up",
] as const;

/** A network interface. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** ARPHRD_*: 1 Ethernet, 772 loopback, 65534 none. */
  readonly hardwareType: number;
  /** {@link IFF} bits. */
  readonly flags: number;
  readonly operationalState: (typeof OPERATIONAL_STATE)[number];
  readonly carrier: boolean;
  readonly mtu: number;
  /** "veth", "bridge", ...; undefined for hardware. */
  readonly kind: string | undefined;
  /** 0: none. */
  readonly master: number;
  /** "02:00:00:00:00:01", or "". */
  readonly hardwareAddress: string;
}

/** What an interface has carried since it was made. */
export interface LinkBytes {
  readonly index: number;
  readonly name: string;
  readonly received: number;
  readonly sent: number;
}

/** An address of an interface. */
export interface InterfaceAddress {
  readonly interfaceIndex: number;
  /** IFA_LOCAL where there is one: never the peer's. */
  readonly address: Address;
  readonly prefixLength: number;
  /** {@link IFA_F} bits. */
  readonly flags: number;
  /** RT_SCOPE_*: 0 global, 253 link, 254 host. */
  readonly scope: number;
  /** The other end of a point-to-point link. */
  readonly peer: Address | undefined;
}

/** A unicast route. */
export interface Route {
  readonly family: number;
  /** undefined: default route. */
  readonly destination: Address | undefined;
  readonly destinationLength: number;
  readonly gateway: Address | undefined;
  readonly outputInterface: number;
  readonly table: number;
  /** Metric; 0 when not given. */
  readonly priority: number;
  /** RTPROT_*. */
  readonly protocol: number;
  readonly scope: number;
  /** RTN_*: 1 unicast, 2 local, 6 blackhole, 7 unreachable. */
  readonly type: number;
  readonly preferredSource: Address | undefined;
  /** RTNH_F_* and RTM_F_* bits. */
  readonly flags: number;
}

/** A policy rule (`ip rule`). */
export interface Rule {
  readonly family: number;
  readonly priority: number;
  readonly source: Address | undefined;
  readonly sourceLength: number;
  readonly destination: Address | undefined;
  readonly destinationLength: number;
  readonly table: number;
  readonly inputInterface: string | undefined;
  readonly outputInterface: string | undefined;
  readonly mark: number | undefined;
  /** RTPROT_* of whoever added it. */
  readonly protocol: number;
  /** FR_ACT_*: 1 to table. */
  readonly action: number;
}

/** What a unicast route is made of. */
export type UnicastRoute = Pick<
  Route,
  | "family"
  | "destination"
  | "destinationLength"
  | "gateway"
  | "outputInterface"
  | "table"
  | "priority"
  | "scope"
  | "preferredSource"
  | "protocol"
>;

/** What a rule `from source lookup table` is made of. */
export interface SourceRule extends Pick<Rule, "family" | "sourceLength" | "table" | "priority" | "protocol"> {
  readonly source: Address;
}

const IFINFOMSG = 16;
const IFADDRMSG = 8;
const RTMSG = 12;

function needs(length: number, { from, to }: MessageHeader, what: string): void {
  if (to - from < length) throw new CodecError("cut header", from, what);
}

/** Appends an all-zero family header of a dump request (`struct ifinfomsg`, `ifaddrmsg`, `rtmsg`, `fib_rule_hdr`). */
export function encodeDumpHeader(writer: Writer, type: number, family: number): void {
  const size = type === RTM.GETLINK ? IFINFOMSG : type === RTM.GETADDR ? IFADDRMSG : RTMSG;
  writer.u8(family);
  for (let i = 1; i < size; i++) writer.u8(0);
}

/** Body of RTM_GETLINK for one link. */
export function encodeLinkIndex(writer: Writer, index: number): void {
  encodeLinkFlags(writer, index, 0, 0);
}

/** Body of RTM_NEWLINK that sets the {@link IFF} bits of `mask` to those of `flags`. */
export function encodeLinkFlags(writer: Writer, index: number, flags: number, mask: number): void {
  writer.u32(0); // family, padding, type
  writer.u32(index);
  writer.u32(flags);
  writer.u32(mask);
}

export function decodeLink(bytes: Uint8Array, header: MessageHeader): Link {
  needs(IFINFOMSG, header, "RTM_NEWLINK");
  const { from, to } = header;
  const found = decode(LINK_ATTRIBUTE, bytes, from + IFINFOMSG, to);
  const flags = readU32(bytes, from + 8);
  return {
    index: readS32(bytes, from + 4),
    name: found.name ?? "",
    hardwareType: readU16(bytes, from + 2),
    flags,
    operationalState: OPERATIONAL_STATE[found.operationalState ?? 0] ?? "unknown",
    carrier: found.carrier === undefined ? (flags & IFF.LOWER_UP) !== 0 : found.carrier === 1,
    mtu: found.mtu ?? 0,
    kind: found.info?.kind,
    master: found.master ?? 0,
    hardwareAddress: Array.from(found.hardwareAddress ?? [], (byte) => byte.toString(16).padStart(2, "0")).join(":"),
  };
}

/** The counters of an RTM_NEWLINK (IFLA_STATS64). */
export function decodeLinkBytes(bytes: Uint8Array, header: MessageHeader): LinkBytes {
  needs(IFINFOMSG, header, "RTM_NEWLINK");
  const { from, to } = header;
  const { name, statistics } = decode(COUNTER_ATTRIBUTE, bytes, from + IFINFOMSG, to);
  if (!statistics || statistics.length < STATISTICS.size) throw new CodecError("no counters", from, "RTM_NEWLINK");
  return {
    index: readS32(bytes, from + 4),
    name: name ?? "",
    received: readU64(statistics, STATISTICS.received),
    sent: readU64(statistics, STATISTICS.sent),
  };
}

export function decodeInterfaceAddress(bytes: Uint8Array, header: MessageHeader): InterfaceAddress {
  needs(IFADDRMSG, header, "RTM_NEWADDR");
  const { from, to } = header;
  const found = decode(ADDRESS_ATTRIBUTE, bytes, from + IFADDRMSG, to);
  const address = found.local ?? found.address;
  if (address === undefined) throw new CodecError("no address", from, "RTM_NEWADDR");
  return {
    interfaceIndex: readU32(bytes, from + 4),
    address,
    prefixLength: bytes[from + 1]!,
    flags: found.flags ?? bytes[from + 2]!,
    scope: bytes[from + 3]!,
    peer: found.local !== undefined && found.address !== found.local ? found.address : undefined,
  };
}

export function decodeRoute(bytes: Uint8Array, header: MessageHeader): Route {
  needs(RTMSG, header, "RTM_NEWROUTE");
  const { from, to } = header;
  const found = decode(ROUTE_ATTRIBUTE, bytes, from + RTMSG, to);
  return {
    family: bytes[from]!,
    destination: found.destination,
    destinationLength: bytes[from + 1]!,
    gateway: found.gateway,
    outputInterface: found.outputInterface ?? 0,
    table: found.table ?? bytes[from + 4]!,
    priority: found.priority ?? 0,
    protocol: bytes[from + 5]!,
    scope: bytes[from + 6]!,
    type: bytes[from + 7]!,
    preferredSource: found.preferredSource,
    flags: readU32(bytes, from + 8),
  };
}

/** What a route's message says before its attributes are decoded, and the one attribute without which nobody can judge it. */
export interface RouteHead
  extends Pick<Route, "family" | "destinationLength" | "protocol" | "type" | "outputInterface"> {
  /** Of `struct rtmsg`: 252 (RT_TABLE_COMPAT) for all tables above 255. */
  readonly table: number;
}

/** The beginning of what {@link decodeRoute} decodes, for a small part of its cost: a full routing table has a million. */
export function decodeRouteHead(bytes: Uint8Array, header: MessageHeader): RouteHead {
  needs(RTMSG, header, "RTM_NEWROUTE");
  const { from, to } = header;
  return {
    family: bytes[from]!,
    destinationLength: bytes[from + 1]!,
    table: bytes[from + 4]!,
    protocol: bytes[from + 5]!,
    type: bytes[from + 7]!,
    outputInterface: outputInterfaceAt(bytes, from + RTMSG, to),
  };
}

/** rtattr: u16 length (its header included), u16 type; each begins at a multiple of four bytes. 0: there is none. */
function outputInterfaceAt(bytes: Uint8Array, from: number, to: number): number {
  const [wanted] = ROUTE_ATTRIBUTE.outputInterface;
  for (let at = from; at + 8 <= to; ) {
    const length = readU16(bytes, at);
    if (readU16(bytes, at + 2) === wanted) return readU32(bytes, at + 4);
    // A length that cannot be is decodeRoute's to refuse.
    if (length < 4) return 0;
    at += (length + 3) & ~3;
  }
  return 0;
}

export function decodeRule(bytes: Uint8Array, header: MessageHeader): Rule {
  needs(RTMSG, header, "RTM_NEWRULE");
  const { from, to } = header;
  const found = decode(RULE_ATTRIBUTE, bytes, from + RTMSG, to);
  return {
    family: bytes[from]!,
    priority: found.priority ?? 0,
    source: found.source,
    sourceLength: bytes[from + 2]!,
    destination: found.destination,
    destinationLength: bytes[from + 1]!,
    table: found.table ?? bytes[from + 4]!,
    inputInterface: found.inputInterface,
    outputInterface: found.outputInterface,
    mark: found.mark,
    protocol: found.protocol ?? 0,
    action: bytes[from + 7]!,
  };
}

/** Fixed fields of `struct rtmsg` and `struct fib_rule_hdr` (the same layout); absent ones are 0. */
export interface RouteHeader {
  readonly family: number;
  readonly destinationLength?: number | undefined;
  readonly sourceLength?: number | undefined;
  readonly table?: number | undefined;
  readonly protocol?: number | undefined;
  readonly scope?: number | undefined;
  /** RTN_* of a route, FR_ACT_* of a rule. */
  readonly type?: number | undefined;
  readonly flags?: number | undefined;
}

function encodeRouteHeader(writer: Writer, header: RouteHeader): void {
  writer.u8(header.family);
  writer.u8(header.destinationLength ?? 0);
  writer.u8(header.sourceLength ?? 0);
  writer.u8(0); // type of service
  // Table numbers above 255 go into the attribute only (RT_TABLE_COMPAT 252).
  const table = header.table ?? 0;
  writer.u8(table > 255 ? 252 : table);
  writer.u8(header.protocol ?? 0);
  writer.u8(header.scope ?? 0);
  writer.u8(header.type ?? 0);
  writer.u32(header.flags ?? 0);
}

/** Body of RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE. */
export function encodeRoute(writer: Writer, header: RouteHeader, attributes: Encodable<typeof ROUTE_ATTRIBUTE>): void {
  encodeRouteHeader(writer, header);
  encode(writer, ROUTE_ATTRIBUTE, attributes);
}

/** Body of RTM_NEWRULE, RTM_DELRULE. */
export function encodeRule(writer: Writer, header: RouteHeader, attributes: Encodable<typeof RULE_ATTRIBUTE>): void {
  encodeRouteHeader(writer, header);
  encode(writer, RULE_ATTRIBUTE, attributes);
}

/** Body of RTM_NEWADDR, RTM_DELADDR. */
export function encodeInterfaceAddress(
  writer: Writer,
  header: {
    readonly family: number;
    readonly prefixLength: number;
    readonly scope?: number;
    readonly interfaceIndex: number;
  },
  attributes: Encodable<typeof ADDRESS_ATTRIBUTE>,
): void {
  writer.u8(header.family);
  writer.u8(header.prefixLength);
  writer.u8(0);
  writer.u8(header.scope ?? 0);
  writer.u32(header.interfaceIndex);
  encode(writer, ADDRESS_ATTRIBUTE, attributes);
}

/** What an rtnetlink multicast says: which object came or changed ("new"), or went ("del"). */
export type RtnlEvent =
  | { readonly kind: "link"; readonly change: "new" | "del"; readonly link: Link }
  | { readonly kind: "address"; readonly change: "new" | "del"; readonly address: InterfaceAddress }
  /** `replaces`: one like it (same destination, table and metric) went without a message of its own. */
  | { readonly kind: "route"; readonly change: "new" | "del"; readonly route: Route; readonly replaces: boolean }
  | { readonly kind: "rule"; readonly change: "new" | "del"; readonly rule: Rule };

/** Decodes a multicast message; undefined for a type that we do not follow. */
export function decodeRtnlEvent(bytes: Uint8Array, header: MessageHeader): RtnlEvent | undefined {
  switch (header.type) {
    case RTM.NEWLINK:
    case RTM.DELLINK:
      return { kind: "link", change: header.type === RTM.NEWLINK ? "new" : "del", link: decodeLink(bytes, header) };
    case RTM.NEWADDR:
    case RTM.DELADDR: {
      const change = header.type === RTM.NEWADDR ? "new" : "del";
      return { kind: "address", change, address: decodeInterfaceAddress(bytes, header) };
    }
    case RTM.NEWROUTE:
    case RTM.DELROUTE:
      return {
        kind: "route",
        change: header.type === RTM.NEWROUTE ? "new" : "del",
        route: decodeRoute(bytes, header),
        replaces: header.type === RTM.NEWROUTE && (header.flags & NLM_F.REPLACE) !== 0,
      };
    case RTM.NEWRULE:
    case RTM.DELRULE:
      return { kind: "rule", change: header.type === RTM.NEWRULE ? "new" : "del", rule: decodeRule(bytes, header) };
    default:
      return undefined;
  }
}
