import { type Address, AF_INET, AF_INET6 } from "../types/index.ts";
import { encode } from "./attributes.ts";
import { Writer } from "./bytes.ts";
import type { MessagePart } from "./event-pattern.ts";
import { beginMessage, endMessage } from "./message.ts";
import { encodeRoute, ROUTE_ATTRIBUTE, type Route, type RouteHeader, RT_TABLE, RTM, RTN } from "./rtnetlink.ts";

/** A message as the kernel will send it, and where in it stands what may be otherwise. */
export interface ExpectedLocalRoute {
  readonly message: Uint8Array;
  readonly flags: MessagePart;
  readonly destination: MessagePart;
  readonly preferredSource: MessagePart;
  readonly outputInterface: MessagePart;
}

/** The beginning of a message as the kernel will send it: what follows says nothing that matters. */
export interface ExpectedRoute {
  readonly message: Uint8Array;
  readonly varying: readonly MessagePart[];
  /** What stands at the same place in the message that takes it back. */
  readonly anchor: MessagePart;
}

const RTPROT_KERNEL = 2;
const RT_SCOPE_HOST = 254;
const NLATTR = 4;
const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const WORD = 4;

type Attributes = Parameters<typeof encodeRoute>[2];

/** RTM_NEWROUTE, attribute by attribute, because their order is the kernel's. */
class Expected {
  readonly #writer = new Writer();
  readonly #start: number;

  constructor(header: RouteHeader & { readonly table: number }) {
    this.#start = beginMessage(this.#writer, RTM.NEWROUTE, 0, 0);
    encodeRoute(this.#writer, header, { table: header.table });
  }

  add(length: number, values: Attributes): MessagePart {
    const at = this.#writer.length + NLATTR;
    encode(this.#writer, ROUTE_ATTRIBUTE, values);
    return { at, length };
  }

  get flags(): MessagePart {
    return { at: this.#start + 6, length: 2 };
  }

  /** Of nlmsghdr: more may follow. */
  get length(): MessagePart {
    return { at: this.#start, length: 4 };
  }

  finish(): Uint8Array {
    endMessage(this.#writer, this.#start);
    return this.#writer.bytes.slice(0, this.#writer.length);
  }
}

/** The kernel's word that it takes packets to a new IPv4 address: RTM_NEWROUTE of fib_add_ifaddr, attributes as fib_dump_info has them. */
export function expectedLocalRoute(address: Address, interfaceIndex: number): ExpectedLocalRoute {
  const header = { family: AF_INET, destinationLength: IPV4_BYTES * 8, table: RT_TABLE.LOCAL, protocol: RTPROT_KERNEL };
  const expected = new Expected({ ...header, scope: RT_SCOPE_HOST, type: RTN.LOCAL });
  const destination = expected.add(IPV4_BYTES, { destination: address });
  const preferredSource = expected.add(IPV4_BYTES, { preferredSource: address });
  const outputInterface = expected.add(WORD, { outputInterface: interfaceIndex });
  const { flags } = expected;
  return { message: expected.finish(), flags, destination, preferredSource, outputInterface };
}

/** The same of an IPv6 address, whose duplicate address detection is over then: __ipv6_ifa_notify, attributes as rt6_fill_node has them. */
export function expectedLocalRoute6(address: Address, interfaceIndex: number): ExpectedRoute {
  const header = {
    family: AF_INET6,
    destinationLength: IPV6_BYTES * 8,
    table: RT_TABLE.LOCAL,
    protocol: RTPROT_KERNEL,
  };
  const expected = new Expected({ ...header, scope: 0, type: RTN.LOCAL });
  const { at } = expected.add(IPV6_BYTES, { destination: address });
  expected.add(WORD, { priority: 0 });
  expected.add(WORD, { outputInterface: interfaceIndex });
  const { flags, length } = expected;
  return { message: expected.finish(), varying: [length, flags], anchor: { at: at + IPV6_BYTES - WORD, length: WORD } };
}

/** A default route of either family that comes again as it was: with a gateway or none, and without what a plan does not look at. */
export function expectedDefaultRoute(route: Route): ExpectedRoute {
  const { family, protocol, scope, type, table, priority, preferredSource, gateway, outputInterface } = route;
  const expected = new Expected({ family, destinationLength: 0, table, protocol, scope, type });
  if (priority !== 0 || family === AF_INET6) expected.add(WORD, { priority });
  if (preferredSource !== undefined && family === AF_INET) expected.add(IPV4_BYTES, { preferredSource });
  if (gateway !== undefined) expected.add(IPV6_BYTES, { gateway });
  const anchor = expected.add(WORD, { outputInterface });
  const { flags, length } = expected;
  return { message: expected.finish(), varying: [length, flags], anchor };
}
