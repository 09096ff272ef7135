import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { type Address, addressBytes, formatAddress, isWithin, parseAddress, parsePrefix } from "../types/index.ts";
import { AddressMask } from "./mask.ts";

const masker = (key: string): AddressMask => new AddressMask((text) => createHmac("sha256", key).update(text).digest());
const mask = masker("a key");

const v4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => formatAddress(bytes));
const v6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => formatAddress(bytes));
const address = fc.oneof(v4, v6);

/** How many bits two addresses of one family share at their beginning. */
function shared(one: string, other: string): number {
  const bits = (text: string): string =>
    addressBytes(text)!
      .map((byte) => byte.toString(2).padStart(8, "0"))
      .join("");
  const [a, b] = [bits(one), bits(other)];
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return at;
  return a.length;
}

test("mask: two addresses share as many bits afterwards as before", () => {
  const near = fc.tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(127), fc.constantFrom(4, 16));
  fc.assert(
    fc.property(near, ([bytes, bit, length]) => {
      const one = bytes.slice(0, length);
      const other = Uint8Array.from(one);
      other[(bit % (8 * length)) >> 3]! ^= 0x80 >> (bit & 7);
      const [a, b] = [formatAddress(one), formatAddress(other)];
      if (a.startsWith("::ffff:") || b.startsWith("::ffff:")) return;
      assert.equal(shared(mask.text(a), mask.text(b)), shared(a, b), `${a} ${b}`);
    }),
    { numRuns: 1000 },
  );
});

test("mask: an address stays in its scope, and comes into no other", () => {
  const scopes = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"];
  const more = ["224.0.0.0/4", "0.0.0.0/8", "fe80::/10", "fc00::/7", "ff00::/8", "::1/128"];
  const within = (text: string): string[] =>
    [...scopes, ...more].filter((scope) => isWithin(parsePrefix(scope)!, text as Address));
  fc.assert(
    fc.property(address, (text) => assert.deepEqual(within(mask.text(text)), within(text), text)),
    { numRuns: 3000 },
  );
  for (const kept of ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"]) {
    assert.equal(mask.text(kept), kept);
  }
});

test("mask: another key, other addresses; the same key, the same ones", () => {
  const [one, other] = ["203.0.113.77", "2001:db8:1:2:3:4:5:6"];
  assert.equal(masker("k").text(`${one} ${other}`), masker("k").text(`${one} ${other}`));
  assert.notEqual(masker("k").text(one), masker("l").text(one));
  assert.notEqual(mask.text(one), one);
  assert.notEqual(mask.text(other), other);
});

test("mask: wherever an address stands it is another one, and all else is as it was", () => {
  const m = (text: string): string => mask.text(text);
  const [a, b, six] = ["10.20.30.40", "203.0.113.9", "2a00:1450:4001:81b:1:2:3:4"];
  const network = mask.value({ destination: "10.20.30.0", destinationLength: 24 }).destination;
  for (const [text, expected] of [
    [`${a}:443>${b}:80`, `${m(a)}:443>${m(b)}:80`],
    [`[${six}]:443`, `[${m(six)}]:443`],
    [`${six}:443>${six}:80`, `${m(six)}:443>${m(six)}:80`],
    [`::ffff:${a}`, `::ffff:${m(a)}`],
    [`10.20.30.0/24 via ${a}`, `${network}/24 via ${m(a)}`],
    [`${a} port 80`, `${m(a)} port 80`],
    [
      "net.ipv4.conf.enx001122334455.rp_filter",
      `net.ipv4.conf.enx${m("00:11:22:33:44:55").replaceAll(":", "")}.rp_filter`,
    ],
    ["wifi, 12:34:56, 6.18.44, 0.0.0.0/0", "wifi, 12:34:56, 6.18.44, 0.0.0.0/0"],
  ] as const) {
    assert.equal(m(text), expected, text);
  }
  const value = {
    life: "001122334455",
    links: [{ name: "eth0", hardwareAddress: "02:00:00:00:00:01" }, { hardwareAddress: "0a:14:1e:28" }],
    rules: [{ bytes: [10, 20, 0, 0], length: 16 }],
    used: new Map([[a, 5]]),
    set: new Set([b]),
    none: undefined,
  };
  const masked = mask.value(value);
  assert.deepEqual([masked.life, masked.links[0]!.name, masked.none], ["001122334455", "eth0", undefined]);
  assert.notEqual(masked.links[0]!.hardwareAddress, "02:00:00:00:00:01");
  assert.equal(
    parseAddress(
      masked.links[1]!.hardwareAddress!.split(":")
        .map((octet) => Number.parseInt(octet, 16))
        .join("."),
    ),
    m(a),
    "a tunnel's hardware address is its IP address",
  );
  const rule = masked.rules[0] as { bytes: number[]; length: number };
  assert.ok(isWithin({ bytes: rule.bytes, length: 16 }, m(a) as Address), "the rule is for whom it was for");
  assert.deepEqual(rule.bytes.slice(2), [0, 0]);
  assert.deepEqual([[...masked.used.keys()], [...masked.set]], [[m(a)], [m(b)]]);
});

test("mask: no address of any spelling is left as it was", () => {
  const around = fc.constantFrom("@", "via @ dev eth0", "[@]:443", '"@"', "(@)", "a:@", "@/128,", "@:443>@:80");
  fc.assert(
    fc.property(address, around, (text, frame) => {
      if (mask.text(text) === text) return;
      const masked = mask.text(frame.replaceAll("@", text));
      if (frame === "a:@" && text.includes(":")) return;
      assert.ok(!masked.includes(text), `${masked} has ${text}`);
    }),
    { numRuns: 2000 },
  );
});
