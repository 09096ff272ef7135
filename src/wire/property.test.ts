import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CAPTURED } from "../../test/captured/linux-6.18.ts";
import { type Address, formatAddress } from "../types/index.ts";
import * as wire from "./index.ts";

const address = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map((bytes) => formatAddress(bytes));

const whole = { type: 16, flags: 0x300, sequence: 0, port: 0, from: 0 };

/** Every decoder that meets bytes of the kernel. */
const DECODERS: Record<string, (bytes: Uint8Array) => unknown> = {
  event: (bytes) => wire.decodeEvent(bytes, { ...whole, to: bytes.length }),
  endpoint: (bytes) => wire.decodeEndpoint(bytes, { ...whole, to: bytes.length }),
  limits: (bytes) => wire.decodeLimits(bytes, { ...whole, to: bytes.length }),
  family: (bytes) => wire.decodeFamily(bytes, { ...whole, to: bytes.length }),
  link: (bytes) => wire.decodeLink(bytes, { ...whole, to: bytes.length }),
  linkBytes: (bytes) => wire.decodeLinkBytes(bytes, { ...whole, to: bytes.length }),
  address: (bytes) => wire.decodeInterfaceAddress(bytes, { ...whole, to: bytes.length }),
  route: (bytes) => wire.decodeRoute(bytes, { ...whole, to: bytes.length }),
  rule: (bytes) => wire.decodeRule(bytes, { ...whole, to: bytes.length }),
  mptcpSocket: (bytes) => wire.decodeDiagSocket(bytes, { ...whole, to: bytes.length }, wire.IPPROTO.MPTCP),
  tcpSocket: (bytes) => wire.decodeDiagSocket(bytes, { ...whole, to: bytes.length }, wire.IPPROTO.TCP),
  acknowledgement: (bytes) => wire.decodeAcknowledgement(bytes, { ...whole, type: 2, to: bytes.length }),
  messages: (bytes) => wire.eachMessage(bytes, 0, bytes.length, () => undefined),
};

function givesValueOrCodecError(decoder: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    decoder(bytes);
  } catch (error) {
    assert.ok(error instanceof wire.CodecError, `${(error as Error).stack}`);
  }
}

for (const [name, decoder] of Object.entries(DECODERS)) {
  test(`${name}: any bytes give a value or one CodecError`, () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => givesValueOrCodecError(decoder, bytes)));
  });

  test(`${name}: captured bytes, cut or damaged anywhere, give a value or one CodecError`, () => {
    for (const hex of Object.values(CAPTURED)) {
      const bytes = Uint8Array.from(Buffer.from(hex, "hex"));
      for (let length = 0; length < bytes.length; length++) givesValueOrCodecError(decoder, bytes.slice(0, length));
      for (let at = 0; at < bytes.length; at++) {
        const damaged = Uint8Array.from(bytes);
        damaged[at] = damaged[at]! ^ 0xff;
        givesValueOrCodecError(decoder, damaged);
      }
    }
  });
}

const event = fc.record(
  {
    token: fc.nat({ max: 0xffff_ffff }),
    family: fc.constantFrom(2, 10),
    loc_id: fc.nat({ max: 255 }),
    rem_id: fc.nat({ max: 255 }),
    saddr4: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => formatAddress(bytes)),
    daddr6: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => formatAddress(bytes)),
    sport: fc.nat({ max: 65535 }),
    dport: fc.nat({ max: 65535 }),
    backup: fc.nat({ max: 1 }),
    error: fc.nat({ max: 255 }),
    flags: fc.nat({ max: 65535 }),
    if_idx: fc.nat({ max: 0xffff_ffff }),
    reset_reason: fc.nat({ max: 6 }),
    server_side: fc.nat({ max: 1 }),
  },
  { requiredKeys: [] },
);

test("attributes: what is encoded is decoded again", () => {
  fc.assert(
    fc.property(event, (values) => {
      const writer = new wire.Writer(8);
      wire.encode(writer, wire.EVENT_ATTRIBUTE, values);
      assert.deepEqual(wire.decode(wire.EVENT_ATTRIBUTE, writer.bytes, 0, writer.length), { ...values });
    }),
  );
});

test("attributes: unknown ones are kept, whatever they hold", () => {
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 0x3fff }), fc.uint8Array({ maxLength: 64 }), (type, payload) => {
      const writer = new wire.Writer();
      writer.u16(payload.length + 4);
      writer.u16(type);
      writer.append(payload);
      writer.align();
      const { unknown } = wire.decode(wire.EVENT_ATTRIBUTE, writer.bytes, 0, writer.length);
      assert.deepEqual(unknown, [[type, payload]]);
    }),
  );
});

const commandAddress = fc.record(
  {
    address,
    id: fc.integer({ min: 0, max: 255 }),
    port: fc.integer({ min: 1, max: 65535 }),
    flags: fc.nat({ max: 63 }),
  },
  { requiredKeys: ["address"] },
);

test("commands: addresses of either family survive", () => {
  fc.assert(
    fc.property(commandAddress, commandAddress, fc.nat({ max: 0xffff_ffff }), (local, remote, token) => {
      const writer = new wire.Writer();
      wire.encodePmCommand(writer, { command: wire.PM_COMMAND.SUBFLOW_CREATE, token, address: local, remote });
      const found = wire.decode(wire.PM_ATTRIBUTE, writer.bytes, wire.GENL_HEADER, writer.length);
      assert.equal(found.token, token);
      assert.equal(found.addr?.addr4 ?? found.addr?.addr6, local.address);
      assert.equal(found.addr_remote?.addr4 ?? found.addr_remote?.addr6, remote.address);
      assert.equal(found.addr?.id, local.id);
      assert.equal(found.addr_remote?.port, remote.port);
    }),
  );
});

test("a 4-tuple of v4 and v4-mapped goes to the kernel in one family", () => {
  const mixed = wire.pathAttributes({
    local: { address: "10.0.0.1" as Address, port: 1 },
    remote: { address: "::ffff:10.0.0.2" as Address, port: 2 },
  });
  assert.equal(mixed.address.address, "::ffff:10.0.0.1");
});
