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

/** An establishment as it came once, and what may be otherwise in the next that is like it. */
export interface EstablishedPattern {
  /** The same for all that are alike. */
  readonly key: string;
  readonly message: Uint8Array;
  readonly token: MessagePart;
  /** Token, ports, and the peer's address: whoever plans looks at the rest. */
  readonly varying: readonly MessagePart[];
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
  const varying = [token, ...part("sport", 2), ...part("dport", 2), ...remote];
  const fixed = message.slice();
  fixed.fill(0, 0, NLMSG_HEADER);
  for (const { at, length } of varying) fixed.fill(0, at, at + length);
  return { key: fixed.join(), message, token, varying };
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
