import { type Address, AF_INET } from "../types/index.ts";
import { encode } from "./attributes.ts";
import { Writer } from "./bytes.ts";
import type { MessagePart } from "./event-pattern.ts";
import { beginMessage, endMessage } from "./message.ts";
import { encodeRoute, ROUTE_ATTRIBUTE, RT_TABLE, RTM, RTN } from "./rtnetlink.ts";

/** A message as the kernel will send it, and where in it stands what may be otherwise. */
export interface ExpectedLocalRoute {
  readonly message: Uint8Array;
  readonly flags: MessagePart;
  readonly destination: MessagePart;
  readonly preferredSource: MessagePart;
  readonly outputInterface: MessagePart;
}

const RTPROT_KERNEL = 2;
const RT_SCOPE_HOST = 254;
const NLATTR = 4;
const IPV4_BYTES = 4;

/** The kernel's word that it takes packets to a new IPv4 address: RTM_NEWROUTE of fib_add_ifaddr, attributes as fib_dump_info has them. */
export function expectedLocalRoute(address: Address, interfaceIndex: number): ExpectedLocalRoute {
  const writer = new Writer();
  const start = beginMessage(writer, RTM.NEWROUTE, 0, 0);
  const part = (length: number, write: () => void): MessagePart => {
    const at = writer.length + NLATTR;
    write();
    return { at, length };
  };
  const header = { family: AF_INET, destinationLength: IPV4_BYTES * 8, table: RT_TABLE.LOCAL, protocol: RTPROT_KERNEL };
  encodeRoute(writer, { ...header, scope: RT_SCOPE_HOST, type: RTN.LOCAL }, { table: RT_TABLE.LOCAL });
  const attribute = (values: Parameters<typeof encodeRoute>[2]) => () => encode(writer, ROUTE_ATTRIBUTE, values);
  const destination = part(IPV4_BYTES, attribute({ destination: address }));
  const preferredSource = part(IPV4_BYTES, attribute({ preferredSource: address }));
  const outputInterface = part(4, attribute({ outputInterface: interfaceIndex }));
  endMessage(writer, start);
  const flags = { at: start + 6, length: 2 };
  return { message: writer.bytes.slice(0, writer.length), flags, destination, preferredSource, outputInterface };
}
