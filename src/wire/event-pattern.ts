import { MPTCP_EVENT } from "../types/index.ts";
import { findAttribute } from "./attributes.ts";
import { GENL_HEADER } from "./genetlink.ts";
import { eachMessage, NLMSG_HEADER } from "./message.ts";
import { decodeEvent, EVENT_ATTRIBUTE } from "./mptcp-pm.ts";

/** A part of a message, in bytes from its beginning. */
export interface MessagePart {
  readonly at: number;
  readonly length: number;
}

/** What may be otherwise in the next event that is like one. */
export type Variable = "token" | "local port" | "remote port" | "remote address";

/** An establishment as it came once, and what may be otherwise in the next that is like it. */
export interface EstablishedPattern {
  readonly message: Uint8Array;
  readonly token: MessagePart;
  /** Token, ports, and the peer's address, in the order in which they stand there: whoever plans looks at the rest. */
  readonly varying: readonly (MessagePart & { readonly what: Variable })[];
}

const V4_MAPPED = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

/** Of a whole message of MPTCP_EVENT_ESTABLISHED. undefined: it is another, or has no token. */
export function establishedPattern(message: Uint8Array): EstablishedPattern | undefined {
  if (eventTypeOf(message) !== MPTCP_EVENT.ESTABLISHED) return undefined;
  const part = (name: keyof typeof EVENT_ATTRIBUTE, length: number): MessagePart[] => {
    const at = findAttribute(EVENT_ATTRIBUTE[name][0], message, NLMSG_HEADER + GENL_HEADER, message.length);
    return at < 0 ? [] : [{ at, length }];
  };
  const [token] = part("token", 4);
  if (!token) return undefined;
  const remote = [...part("daddr4", 4), ...part("daddr6", 16).map((whole) => varyingPartOf(message, whole))];
  const named: readonly (readonly [Variable, readonly MessagePart[]])[] = [
    ["token", [token]],
    ["local port", part("sport", 2)],
    ["remote port", part("dport", 2)],
    ["remote address", remote],
  ];
  const varying = named.flatMap(([what, parts]) => parts.map((each) => ({ ...each, what })));
  varying.sort((a, b) => a.at - b.at);
  return { message, token, varying };
}

/** The same for those only that are alike in these, too. */
export function narrowed(pattern: EstablishedPattern, fixed: ReadonlySet<string>): EstablishedPattern {
  return { ...pattern, varying: pattern.varying.filter(({ what }) => !fixed.has(what)) };
}

/** Is the message one of the pattern's? */
export function isLike({ message: sample, varying }: EstablishedPattern, message: Uint8Array): boolean {
  if (message.length !== sample.length) return false;
  let at = NLMSG_HEADER;
  for (const part of varying) {
    for (; at < part.at; at++) if (message[at] !== sample[at]) return false;
    at = part.at + part.length;
  }
  for (; at < sample.length; at++) if (message[at] !== sample[at]) return false;
  return true;
}

/** The creation that such an establishment follows: it has the same attributes. */
export function createdLike({ message }: EstablishedPattern): Uint8Array {
  const creation = message.slice();
  creation[NLMSG_HEADER] = MPTCP_EVENT.CREATED;
  return creation;
}

/** The end of such a connection: it has the token alone, which comes first in every event. */
export function closedLike({ message, token }: EstablishedPattern): Uint8Array {
  const end = message.slice(0, token.at + token.length);
  end[0] = end.length;
  end[NLMSG_HEADER] = MPTCP_EVENT.CLOSED;
  return end;
}

function eventTypeOf(message: Uint8Array): number | undefined {
  let type: number | undefined;
  eachMessage(message, 0, message.length, (header) => {
    type = decodeEvent(message, header).type;
  });
  return type;
}

/** A v4-mapped address varies in its last word only: others are of another family. */
function varyingPartOf(message: Uint8Array, { at, length }: MessagePart): MessagePart {
  const isMapped = V4_MAPPED.every((byte, index) => byte === message[at + index]);
  return isMapped ? { at: at + V4_MAPPED.length, length: length - V4_MAPPED.length } : { at, length };
}
