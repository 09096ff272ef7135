import { decode, type Table } from "./attributes.ts";
import { readS32, readU16, readU32, type Writer } from "./bytes.ts";
import { CodecError } from "./errors.ts";

/** Message types that every netlink protocol shares (linux/netlink.h). */
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4, MIN_TYPE: 16 } as const;

/** Flags of nlmsghdr (NLM_F_*). */
export const NLM_F = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  DUMP_INTR: 0x10,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
  ROOT: 0x100,
  MATCH: 0x200,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
} as const;

/** sizeof(struct nlmsghdr). */
export const NLMSG_HEADER = 16;

/** struct nlmsghdr with the place of its payload in the buffer. */
export interface MessageHeader {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly port: number;
  /** Payload is bytes[from, to). */
  readonly from: number;
  readonly to: number;
}

/** Begins a message; returns its start for {@link endMessage}. */
export function beginMessage(writer: Writer, type: number, flags: number, sequence: number): number {
  const start = writer.length;
  writer.u32(0);
  writer.u16(type);
  writer.u16(flags);
  writer.u32(sequence);
  writer.u32(0);
  return start;
}

/** Fills in the length of the message begun at `start`. */
export function endMessage(writer: Writer, start: number): void {
  writer.putU32(start, writer.length - start);
  writer.align();
}

/**
 * Splits a datagram into its messages.
 * @throws CodecError when a header is cut or a length does not fit.
 */
export function eachMessage(bytes: Uint8Array, from: number, to: number, visit: (header: MessageHeader) => void): void {
  let at = from;
  while (at < to) {
    if (to - at < NLMSG_HEADER) throw new CodecError("cut message header", at, "netlink datagram");
    const length = readU32(bytes, at);
    if (length < NLMSG_HEADER || length > to - at) {
      throw new CodecError(`message length ${length} does not fit`, at, "netlink datagram");
    }
    visit({
      type: readU16(bytes, at + 4),
      flags: readU16(bytes, at + 6),
      sequence: readU32(bytes, at + 8),
      port: readU32(bytes, at + 12),
      from: at + NLMSG_HEADER,
      to: at + length,
    });
    at += (length + 3) & ~3;
  }
}

/** Extended ACK attributes (enum nlmsgerr_attrs). */
export const EXTENDED_ACK = {
  message: [1, "string"],
  offset: [2, "u32"],
  cookie: [3, "bytes"],
  policy: [4, "bytes"],
  missingType: [5, "u32"],
  missingNest: [6, "u32"],
} as const satisfies Table;

/** How the kernel answered a request. */
export interface Acknowledgement {
  /** 0, or a positive errno. */
  readonly errno: number;
  /** The kernel's own text (NLMSGERR_ATTR_MSG). */
  readonly message: string | undefined;
  /** Byte offset of the offending attribute in the request. */
  readonly offset: number | undefined;
  /** Number of the attribute that was missing. */
  readonly missingType: number | undefined;
  /** Offset of the nest in which it was missing; undefined: at the top. */
  readonly missingNest: number | undefined;
}

/**
 * Decodes an NLMSG_ERROR (of which an ACK is the one with errno 0), or an NLMSG_DONE.
 * @throws CodecError when cut.
 */
export function decodeAcknowledgement(bytes: Uint8Array, header: MessageHeader): Acknowledgement {
  const { from, to } = header;
  if (to - from < 4) {
    if (header.type === NLMSG.DONE) return NOTHING;
    throw new CodecError("cut acknowledgement", from, "NLMSG_ERROR");
  }
  const errno = -readS32(bytes, from) || 0; // `|| 0` turns -0 into 0
  let attributes = from + 4;
  if (header.type === NLMSG.ERROR) {
    if (to - from < 4 + NLMSG_HEADER) throw new CodecError("cut acknowledgement", from, "NLMSG_ERROR");
    const echoed = header.flags & NLM_F.CAPPED ? NLMSG_HEADER : readU32(bytes, from + 4);
    attributes += (Math.max(echoed, NLMSG_HEADER) + 3) & ~3;
  }
  if (!(header.flags & NLM_F.ACK_TLVS) || attributes >= to) return errno === 0 ? NOTHING : { ...NOTHING, errno };
  const found = decode(EXTENDED_ACK, bytes, attributes, to);
  return {
    errno,
    message: found.message,
    offset: found.offset,
    missingType: found.missingType,
    missingNest: found.missingNest,
  };
}

const NOTHING: Acknowledgement = {
  errno: 0,
  message: undefined,
  offset: undefined,
  missingType: undefined,
  missingNest: undefined,
};
