import assert from "node:assert/strict";
import { test } from "node:test";
import { WIFI } from "../../test/captured/wifi-6.12.ts";
import * as wire from "./index.ts";

function message(hex: string): { bytes: Uint8Array; header: wire.MessageHeader } {
  const bytes = new Uint8Array(Buffer.from(hex, "hex"));
  return { bytes, header: { type: 0, flags: 0, sequence: 0, port: 0, from: 0, to: bytes.length } };
}

function station(info: { readonly signal?: number; readonly signalAvg?: number } | undefined) {
  const writer = new wire.Writer();
  wire.genlHeader(writer, 19, 0);
  wire.encode(writer, wire.NL80211_ATTRIBUTE, { ifindex: 3, staInfo: info });
  return message(Buffer.from(writer.bytes.slice(0, writer.length)).toString("hex"));
}

test("an interface of a radio, as Linux 6.12 tells of it", () => {
  const { bytes, header } = message(WIFI.interface);
  assert.deepEqual(wire.decodeWifiInterface(bytes, header), { index: 2, name: "wlan0", type: wire.WIFI_TYPE.ADHOC });
});

test("a P2P device has no network interface", () => {
  const writer = new wire.Writer();
  wire.genlHeader(writer, 7, 0);
  wire.encode(writer, wire.NL80211_ATTRIBUTE, { iftype: 10 });
  const header = { type: 0, flags: 0, sequence: 0, port: 0, from: 0, to: writer.length };
  assert.equal(wire.decodeWifiInterface(writer.bytes, header), undefined);
});

test("the signal of a station: the average goes first, and it is below 0", () => {
  const { bytes, header } = message(WIFI.station);
  assert.equal(wire.decodeStationSignal(bytes, header), -30);
  const signalOf = (info: Parameters<typeof station>[0]) => {
    const told = station(info);
    return wire.decodeStationSignal(told.bytes, told.header);
  };
  assert.equal(signalOf({ signal: -90, signalAvg: -84 }), -84);
  assert.equal(signalOf({ signal: -90 }), -90);
  assert.equal(signalOf({ signal: -128 }), -128);
  assert.equal(signalOf({}), undefined, "the driver does not tell");
  assert.equal(signalOf(undefined), undefined);
});

test("what is cut is a CodecError, wherever it is cut", () => {
  for (const [hex, decode] of [
    [WIFI.interface, wire.decodeWifiInterface],
    [WIFI.station, wire.decodeStationSignal],
  ] as const) {
    const { bytes, header } = message(hex);
    assert.throws(() => decode(bytes, { ...header, to: 3 }), wire.CodecError);
    for (let to = wire.GENL_HEADER; to < header.to; to++) {
      try {
        decode(bytes, { ...header, to });
      } catch (error) {
        assert.ok(error instanceof wire.CodecError, `cut at ${to}: ${String(error)}`);
      }
    }
  }
});

test("requests: all interfaces, and the stations of one", () => {
  const hex = (write: (writer: wire.Writer) => void) => {
    const writer = new wire.Writer();
    write(writer);
    return Buffer.from(writer.bytes.slice(0, writer.length)).toString("hex");
  };
  assert.equal(hex(wire.encodeGetWifiInterfaces), "05000000");
  assert.equal(
    hex((writer) => wire.encodeGetStations(writer, 3)),
    `11000000${"0800030003000000"}`,
  );
});
