import {
  type Address,
  type AddressId,
  AF_INET,
  AF_INET6,
  type Endpoint,
  familyOf,
  type Limits,
  type MptcpEvent,
  type Path,
  type SocketAddress,
  type Token,
} from "../types/index.ts";
import { type Decoded, decode, type Encodable, encode, type Table } from "./attributes.ts";
import type { Writer } from "./bytes.ts";
import { CodecError } from "./errors.ts";
import { GENL_HEADER, genlHeader } from "./genetlink.ts";
import type { MessageHeader } from "./message.ts";

/** Generic netlink family of MPTCP's path managers (MPTCP_PM_NAME), its version, its groups (linux/mptcp_pm.h). */
export const MPTCP_PM = {
  name: "mptcp_pm",
  version: 1,
  eventsGroup: "mptcp_pm_events",
  commandsGroup: "mptcp_pm_cmds",
} as const;

/** MPTCP_PM_CMD_* (linux/mptcp_pm.h). */
export const PM_COMMAND = {
  ADD_ADDR: 1,
  DEL_ADDR: 2,
  GET_ADDR: 3,
  FLUSH_ADDRS: 4,
  SET_LIMITS: 5,
  GET_LIMITS: 6,
  SET_FLAGS: 7,
  ANNOUNCE: 8,
  REMOVE: 9,
  SUBFLOW_CREATE: 10,
  SUBFLOW_DESTROY: 11,
} as const;

/** MPTCP_PM_ADDR_ATTR_*: an address of a command; the port is in HOST order here, in network order in events. */
export const PM_ADDRESS = {
  family: [1, "u16"],
  id: [2, "u8"],
  addr4: [3, "address"],
  addr6: [4, "address"],
  port: [5, "u16"],
  flags: [6, "u32"],
  if_idx: [7, "s32"],
} as const satisfies Table;

/** MPTCP_PM_ATTR_*: top attributes of a command. */
export const PM_ATTRIBUTE = {
  addr: [1, PM_ADDRESS],
  rcv_add_addrs: [2, "u32"],
  subflows: [3, "u32"],
  token: [4, "u32"],
  loc_id: [5, "u8"],
  addr_remote: [6, PM_ADDRESS],
} as const satisfies Table;

/** MPTCP_ATTR_*: attributes of an event. */
export const EVENT_ATTRIBUTE = {
  token: [1, "u32"],
  family: [2, "u16"],
  loc_id: [3, "u8"],
  rem_id: [4, "u8"],
  saddr4: [5, "address"],
  saddr6: [6, "address"],
  daddr4: [7, "address"],
  daddr6: [8, "address"],
  sport: [9, "u16be"],
  dport: [10, "u16be"],
  backup: [11, "u8"],
  error: [12, "u8"],
  flags: [13, "u16"],
  timeout: [14, "u32"],
  if_idx: [15, "u32"],
  reset_reason: [16, "u32"],
  reset_flags: [17, "u32"],
  server_side: [18, "u8"],
} as const satisfies Table;

/** Parts of an address in a command; absent ones are not sent. */
export interface CommandAddress {
  readonly address?: Address | undefined;
  readonly id?: AddressId | undefined;
  readonly port?: number | undefined;
  readonly flags?: number | undefined;
  readonly interfaceIndex?: number | undefined;
}

function addressAttributes(from: CommandAddress): Encodable<typeof PM_ADDRESS> {
  const family = from.address === undefined ? undefined : familyOf(from.address);
  return {
    family,
    id: from.id,
    addr4: family === AF_INET ? from.address : undefined,
    addr6: family === AF_INET6 ? from.address : undefined,
    port: from.port || undefined,
    flags: from.flags,
    if_idx: from.interfaceIndex || undefined,
  };
}

/** What a command says; which parts it needs depends on the command (linux/mptcp_pm.h). */
export interface PmCommand {
  readonly command: (typeof PM_COMMAND)[keyof typeof PM_COMMAND];
  readonly token?: Token | undefined;
  readonly address?: CommandAddress | undefined;
  readonly remote?: CommandAddress | undefined;
  readonly localId?: AddressId | undefined;
  readonly subflows?: number | undefined;
  readonly addAddrAccepted?: number | undefined;
}

/** Appends genlmsghdr and attributes of a command. */
export function encodePmCommand(writer: Writer, command: PmCommand): void {
  genlHeader(writer, command.command, MPTCP_PM.version);
  encode(writer, PM_ATTRIBUTE, {
    addr: command.address && addressAttributes(command.address),
    rcv_add_addrs: command.addAddrAccepted,
    subflows: command.subflows,
    token: command.token,
    loc_id: command.localId,
    addr_remote: command.remote && addressAttributes(command.remote),
  });
}

/** A 4-tuple as two command addresses, both in one family: v4 beside v4-mapped is written as v4-mapped. */
export function pathAttributes(path: Path): { readonly address: CommandAddress; readonly remote: CommandAddress } {
  const mixed = familyOf(path.local.address) !== familyOf(path.remote.address);
  const side = ({ address, port }: SocketAddress): CommandAddress => ({
    address: mixed && familyOf(address) === AF_INET ? (`::ffff:${address}` as Address) : address,
    port,
  });
  return { address: side(path.local), remote: side(path.remote) };
}

/** @throws CodecError when the answer holds no address. */
export function decodeEndpoint(bytes: Uint8Array, { from, to }: MessageHeader): Endpoint {
  const { addr } = decode(PM_ATTRIBUTE, bytes, from + GENL_HEADER, to);
  const address = addr?.addr4 ?? addr?.addr6;
  if (!addr || address === undefined) throw new CodecError("no address", from, "MPTCP_PM_CMD_GET_ADDR");
  return {
    id: addr.id ?? 0,
    address,
    port: addr.port ?? 0,
    flags: addr.flags ?? 0,
    interfaceIndex: addr.if_idx ?? 0,
  };
}

export function decodeLimits(bytes: Uint8Array, { from, to }: MessageHeader): Limits {
  const found = decode(PM_ATTRIBUTE, bytes, from + GENL_HEADER, to);
  if (found.subflows === undefined || found.rcv_add_addrs === undefined) {
    throw new CodecError("no limits", from, "MPTCP_PM_CMD_GET_LIMITS");
  }
  return { subflows: found.subflows, addAddrAccepted: found.rcv_add_addrs };
}

const NO_UNKNOWN: MptcpEvent["unknown"] = [];

/** Decodes a message of the `mptcp_pm_events` group; an unknown event number is kept as it is. */
export function decodeEvent(bytes: Uint8Array, { from, to }: MessageHeader): MptcpEvent {
  if (to - from < GENL_HEADER) throw new CodecError("cut genlmsghdr", from, "event");
  const found: Decoded<typeof EVENT_ATTRIBUTE> = decode(EVENT_ATTRIBUTE, bytes, from + GENL_HEADER, to);
  return {
    type: bytes[from]!,
    token: found.token ?? 0,
    family: found.family,
    localAddress: found.saddr4 ?? found.saddr6,
    localPort: found.sport,
    remoteAddress: found.daddr4 ?? found.daddr6,
    remotePort: found.dport,
    localId: found.loc_id,
    remoteId: found.rem_id,
    backup: found.backup,
    error: found.error,
    flags: found.flags,
    timeout: found.timeout,
    interfaceIndex: found.if_idx,
    resetReason: found.reset_reason,
    resetFlags: found.reset_flags,
    serverSide: found.server_side,
    unknown: found.unknown ?? NO_UNKNOWN,
  };
}
