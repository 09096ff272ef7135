import { type Address, addressBytes, formatAddress, unmap } from "../types/index.ts";

const hex = (byte: number): string => byte.toString(16).padStart(2, "0");

/**
 * Every way in which an address is known to be written: for people, in hexadecimal (names of tunnels, /proc/net), in either
 * byte order, as a number, with dashes (names of cloud hosts), backwards (DNS). Lower case.
 */
export function addressSpellings(address: Address): string[] {
  const bytes = addressBytes(unmap(address)) ?? [];
  return bytes.length === 4 ? v4Spellings(bytes) : v6Spellings(bytes);
}

function v4Spellings(bytes: readonly number[]): string[] {
  const reversed = [...bytes].reverse();
  const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return [
    bytes.join("."),
    bytes.join("-"),
    bytes.join("_"),
    reversed.join("."),
    bytes.map((byte) => String(byte).padStart(3, "0")).join("."),
    ...["", ":", ".", "-"].map((between) => bytes.map(hex).join(between)),
    reversed.map(hex).join(""),
    String(number),
    `${hex(bytes[0]!)}${hex(bytes[1]!)}:${hex(bytes[2]!)}${hex(bytes[3]!)}`,
  ];
}

function v6Spellings(bytes: readonly number[]): string[] {
  const groups = Array.from({ length: 8 }, (_, index) => hex(bytes[2 * index]!) + hex(bytes[2 * index + 1]!));
  const short = groups.map((group) => group.replace(/^0{1,3}/, ""));
  const canonical = formatAddress(bytes);
  const words = Array.from({ length: 4 }, (_, index) => bytes.slice(4 * index, 4 * index + 4));
  const v4Tail = [...short.slice(0, 6), bytes.slice(12).join(".")].join(":");
  return [
    canonical,
    ...["-", "_"].map((between) => canonical.replaceAll(":", between)),
    ...[":", "-", "_"].flatMap((between) => [groups.join(between), short.join(between)]),
    v4Tail,
    ...["", ":", "-"].map((between) => bytes.map(hex).join(between)),
    [...bytes].reverse().map(hex).join(""),
    words.map((word) => [...word].reverse().map(hex).join("")).join(""), // /proc/net/tcp6 of a little-endian machine
    [...groups.join("")].reverse().join("."),
  ];
}

/** The same for a hardware address ("02:00:00:00:00:01", of any length), with what IPv6 makes of one of 6 bytes (EUI-64). */
export function hardwareSpellings(text: string): string[] {
  const bytes = text.split(":");
  const plain = bytes.join("");
  const pairs = plain.match(/.{1,4}/g) ?? [];
  const forms = [...["", ":", "-", ".", "_"].map((between) => bytes.join(between)), pairs.join("."), pairs.join(":")];
  if (bytes.length !== 6) return forms;
  const universal = hex(Number.parseInt(bytes[0]!, 16) ^ 2);
  const identifiers = [bytes[0]!, universal].map((first) => [
    first,
    ...bytes.slice(1, 3),
    "ff",
    "fe",
    ...bytes.slice(3),
  ]);
  return [
    ...forms,
    ...identifiers.flatMap((eui) => {
      const groups = [0, 2, 4, 6].map((index) => eui[index]! + eui[index + 1]!);
      const short = groups.map((group) => group.replace(/^0{1,3}/, ""));
      return [eui.join(""), eui.join(":"), groups.join(":"), short.join(":")];
    }),
  ];
}
