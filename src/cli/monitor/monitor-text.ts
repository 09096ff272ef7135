import { EVENT_FLAG, MPTCP_EVENT, type MptcpEvent } from "../../types/index.ts";
import { type InterfaceName, paintAddress } from "../endpoint-text.ts";
import type { Json } from "../json.ts";
import type { Streams } from "../streams.ts";
import { formatToken } from "../words.ts";

/** iproute2's names where they differ from the kernel's. */
const RENAMED: Readonly<Record<string, string>> = {
  SUB_ESTABLISHED: "SF_ESTABLISHED",
  SUB_CLOSED: "SF_CLOSED",
  SUB_PRIORITY: "SF_PRIO",
};

const NAMES = new Map(Object.entries(MPTCP_EVENT).map(([name, type]) => [type as number, RENAMED[name] ?? name]));

/** A field of an event as both outputs need it. */
interface Field {
  readonly key: string;
  readonly text: string;
  readonly json: Json;
}

/** The name that iproute2 gives an event; "UNKNOWN 17" for one that this version does not know. */
export function eventName(type: number): string {
  return NAMES.get(type) ?? `UNKNOWN ${type}`;
}

/** One line of `monitor`, as iproute2 prints it. */
export function eventLine(event: MptcpEvent, interfaceName: InterfaceName, paint: Streams["paint"]): string {
  const name = eventName(event.type);
  if (!NAMES.has(event.type)) return `[${name}]\n`;
  const fields = eventFields(event, interfaceName).map(({ key, text }) => {
    if (text === "") return ` ${key}`;
    if (key === "dev") return ` dev=${paint("interface", text)}`;
    return ` ${key}=${/addr[46]$/.test(key) ? paintAddress(paint, text) : text}`;
  });
  return `[${name.padStart(16)}]${fields.join("")}\n`;
}

/** One value of `-j monitor`, keys in iproute2's order. */
export function eventJson(event: MptcpEvent, interfaceName: InterfaceName): Json {
  const fields = NAMES.has(event.type) ? eventFields(event, interfaceName) : [];
  return { event: eventName(event.type), ...Object.fromEntries(fields.map(({ key, json }) => [key, json])) };
}

function eventFields(event: MptcpEvent, interfaceName: InterfaceName): Field[] {
  const fields: Field[] = [];
  const number = (key: string, value: number | undefined): void => {
    if (value !== undefined) fields.push({ key, text: String(value), json: value });
  };
  const hexadecimal = (key: string, value: number | undefined): void => {
    if (value === undefined) return;
    const text = value === 0 ? "0" : `0x${value.toString(16)}`; // printf's %#x leaves zero bare
    fields.push({ key, text, json: text });
  };
  const word = (key: string, present: boolean): void => {
    if (present) fields.push({ key, text: "", json: true });
  };
  // A LISTENER event is about no connection: its token is not there (0 once decoded).
  if (event.token !== 0) {
    fields.push({ key: "token", text: formatToken(event.token), json: `0x${event.token.toString(16)}` });
  }
  number("remid", event.remoteId);
  number("locid", event.localId);
  fields.push(...addressFields(event));
  number("sport", event.localPort);
  number("dport", event.remotePort);
  number("backup", event.backup);
  number("error", event.error);
  number("timeout", event.timeout);
  number("ifindex", event.interfaceIndex);
  if (event.interfaceIndex) {
    const name = interfaceName(event.interfaceIndex);
    fields.push({ key: "dev", text: name, json: name });
  }
  number("reset_reason", event.resetReason);
  hexadecimal("reset_flags", event.resetFlags);
  const flags = event.flags ?? 0;
  word("server_side", (flags & EVENT_FLAG.serverSide) !== 0 || Boolean(event.serverSide));
  word("deny_join_id0", (flags & EVENT_FLAG.denyJoinId0) !== 0);
  hexadecimal("flags", flags & ~(EVENT_FLAG.serverSide | EVENT_FLAG.denyJoinId0) || undefined);
  return fields;
}

/** IPv4 addresses come before IPv6 ones, whichever end they belong to. */
function addressFields({ localAddress, remoteAddress }: MptcpEvent): Field[] {
  const ends = [
    ["saddr", localAddress],
    ["daddr", remoteAddress],
  ] as const;
  const fields: Field[] = [];
  for (const version of [4, 6]) {
    for (const [key, address] of ends) {
      if (address === undefined || address.includes(":") !== (version === 6)) continue;
      fields.push({ key: `${key}${version}`, text: address, json: address });
    }
  }
  return fields;
}
