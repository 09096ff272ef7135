import { type Decoded, decode, encode, type Table, walk } from "./attributes.ts";
import type { Writer } from "./bytes.ts";
import { CodecError } from "./errors.ts";
import type { MessageHeader } from "./message.ts";

/** sizeof(struct genlmsghdr): command, version, reserved. */
export const GENL_HEADER = 4;
/** Message type of the controller, the one family with a fixed number (GENL_ID_CTRL). */
export const GENL_ID_CTRL = 16;
/** Commands of the controller (linux/genetlink.h). */
export const CTRL_CMD = { NEWFAMILY: 1, GETFAMILY: 3 } as const;

/** Attributes of the controller (CTRL_ATTR_*). */
export const CTRL = {
  familyId: [1, "u16"],
  familyName: [2, "string"],
  version: [3, "u32"],
  headerSize: [4, "u32"],
  maxAttribute: [5, "u32"],
  operations: [6, "bytes"],
  multicastGroups: [7, "bytes"],
  policy: [8, "bytes"],
  operationPolicy: [9, "bytes"],
  operation: [10, "u32"],
} as const satisfies Table;

const MULTICAST_GROUP = { name: [1, "string"], id: [2, "u32"] } as const satisfies Table;
const OPERATION = { id: [1, "u32"], flags: [2, "u32"] } as const satisfies Table;

/** A generic netlink family as the controller describes it. */
export interface Family {
  readonly id: number;
  readonly name: string;
  readonly version: number;
  readonly maxAttribute: number;
  /** Group name → number for {@link NativeAddon.joinGroup}. */
  readonly groups: ReadonlyMap<string, number>;
  /** Commands the family takes. */
  readonly operations: readonly number[];
}

/** Appends a genlmsghdr. */
export function genlHeader(writer: Writer, command: number, version: number): void {
  writer.u8(command);
  writer.u8(version);
  writer.u16(0);
}

export function encodeGetFamily(writer: Writer, name: string): void {
  genlHeader(writer, CTRL_CMD.GETFAMILY, 2);
  encode(writer, CTRL, { familyName: name });
}

function decodeList<T extends Table>(table: T, list: Uint8Array | undefined): Decoded<T>[] {
  const result: Decoded<T>[] = [];
  if (list) walk(list, 0, list.length, (_, from, to) => void result.push(decode(table, list, from, to)));
  return result;
}

/** Asks for all families: a dump, which loads no module for a name that there is none of yet. */
export function encodeGetFamilies(writer: Writer): void {
  genlHeader(writer, CTRL_CMD.GETFAMILY, 2);
}

/** @throws CodecError when it is not a CTRL_CMD_NEWFAMILY answer. */
export function decodeFamily(bytes: Uint8Array, { from, to }: MessageHeader): Family {
  const found = decode(CTRL, bytes, from + GENL_HEADER, to);
  if (found.familyId === undefined || found.familyName === undefined) {
    throw new CodecError("no family id or name", from, "CTRL_CMD_NEWFAMILY");
  }
  const groups = new Map<string, number>();
  for (const group of decodeList(MULTICAST_GROUP, found.multicastGroups)) {
    if (group.name !== undefined && group.id !== undefined) groups.set(group.name, group.id);
  }
  return {
    id: found.familyId,
    name: found.familyName,
    version: found.version ?? 1,
    maxAttribute: found.maxAttribute ?? 0,
    groups,
    operations: decodeList(OPERATION, found.operations).flatMap((operation) => operation.id ?? []),
  };
}
