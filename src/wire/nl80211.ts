import { decode, encode, type Table } from "./attributes.ts";
import type { Writer } from "./bytes.ts";
import { CodecError } from "./errors.ts";
import { GENL_HEADER, genlHeader } from "./genetlink.ts";
import type { MessageHeader } from "./message.ts";

/** Generic netlink family of Wi-Fi (linux/nl80211.h): a kernel without cfg80211 has none of this name. */
export const NL80211 = { name: "nl80211", version: 0 } as const;

/** NL80211_CMD_*. */
export const NL80211_COMMAND = { GET_INTERFACE: 5, GET_STATION: 17 } as const;

/** NL80211_IFTYPE_*: as what an interface takes part in a Wi-Fi. */
export const WIFI_TYPE = { ADHOC: 1, STATION: 2, MESH_POINT: 7, P2P_CLIENT: 8 } as const;

/** NL80211_STA_INFO_*: of a station that an interface hears, in dBm: of the last frame, and on the average of some. */
const STATION_INFO = { signal: [7, "s8"], signalAvg: [13, "s8"] } as const satisfies Table;

/** NL80211_ATTR_*, what is needed of them. */
export const NL80211_ATTRIBUTE = {
  ifindex: [3, "u32"],
  ifname: [4, "string"],
  iftype: [5, "u32"],
  staInfo: [21, STATION_INFO],
} as const satisfies Table;

/** An interface of a Wi-Fi radio. */
export interface WifiInterface {
  readonly index: number;
  readonly name: string;
  /** One of {@link WIFI_TYPE}, or another number. */
  readonly type: number;
}

/** Appends the request for all interfaces of Wi-Fi radios: a dump. */
export function encodeGetWifiInterfaces(writer: Writer): void {
  genlHeader(writer, NL80211_COMMAND.GET_INTERFACE, NL80211.version);
}

/** Appends the request for all stations that an interface hears: a dump. */
export function encodeGetStations(writer: Writer, ifindex: number): void {
  genlHeader(writer, NL80211_COMMAND.GET_STATION, NL80211.version);
  encode(writer, NL80211_ATTRIBUTE, { ifindex });
}

/**
 * What a NL80211_CMD_NEW_INTERFACE says; undefined: it has no network interface (a P2P device).
 * @throws CodecError when cut
 */
export function decodeWifiInterface(bytes: Uint8Array, { from, to }: MessageHeader): WifiInterface | undefined {
  const { ifindex, ifname, iftype } = attributesOf(bytes, from, to);
  if (ifindex === undefined || ifname === undefined || iftype === undefined) return undefined;
  return { index: ifindex, name: ifname, type: iftype };
}

/**
 * How strong a station is heard, in dBm, as a NL80211_CMD_NEW_STATION says: on the average, else of its last frame; undefined: the driver does
 * not tell.
 * @throws CodecError when cut
 */
export function decodeStationSignal(bytes: Uint8Array, { from, to }: MessageHeader): number | undefined {
  const { staInfo } = attributesOf(bytes, from, to);
  return staInfo?.signalAvg ?? staInfo?.signal;
}

function attributesOf(bytes: Uint8Array, from: number, to: number) {
  if (to - from < GENL_HEADER) throw new CodecError("cut genlmsghdr", from, "nl80211");
  return decode(NL80211_ATTRIBUTE, bytes, from + GENL_HEADER, to);
}
