import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  abbreviates,
  formatToken,
  nearest,
  parseLooseAddress,
  parseSocketAddress,
  parseToken,
  parseUnsigned,
} from "./words.ts";

test("a word may be abbreviated to any beginning but the empty one", () => {
  assert.ok(abbreviates("e", "endpoint"));
  assert.ok(abbreviates("endpoint", "endpoint"));
  assert.ok(!abbreviates("", "endpoint"));
  assert.ok(!abbreviates("endpoints", "endpoint"));
});

for (const [text, expected] of [
  ["0", 0],
  ["255", 255],
  ["256", undefined],
  ["0xff", 255],
  ["0XfF", 255],
  ["010", 8],
  ["08", undefined],
  ["+7", 7],
  [" 7", 7],
  ["7 ", undefined],
  ["-0", 0],
  ["-1", undefined],
  ["0x", undefined],
  ["", undefined],
  ["1e1", undefined],
  ["99999999999999999999999", undefined],
] as const) {
  test(`strtoul reads ${JSON.stringify(text)} as ${expected}`, () => assert.equal(parseUnsigned(text, 255), expected));
}

for (const [text, expected] of [
  ["10.0.0.1", "10.0.0.1"],
  ["10.8", "10.8.0.0"],
  ["10", "10.0.0.0"],
  ["0xa.010.1.2", "10.8.1.2"],
  ["10.0.0.256", undefined],
  ["10.0.0.1.2", undefined],
  ["10.", undefined],
  ["10.0.0.1/24", undefined],
  ["", undefined],
  ["2001:DB8:0::1", "2001:db8::1"],
  ["::ffff:10.0.0.1", "::ffff:10.0.0.1"],
  ["2001:db8::1::2", undefined],
] as const) {
  test(`iproute2 reads the address ${JSON.stringify(text)} as ${expected}`, () =>
    assert.equal(parseLooseAddress(text), expected));
}

for (const [text, expected] of [
  ["10.0.0.1", { address: "10.0.0.1", port: 0 }],
  ["10.0.0.1:443", { address: "10.0.0.1", port: 443 }],
  ["10.0.0.1:", undefined],
  ["10.0.0.1:65536", undefined],
  ["2001:db8::1", { address: "2001:db8::1", port: 0 }],
  ["[2001:db8::1]", { address: "2001:db8::1", port: 0 }],
  ["[2001:db8::1]:443", { address: "2001:db8::1", port: 443 }],
  ["eth0", undefined],
] as const) {
  test(`an end of a subflow: ${text}`, () => assert.deepEqual(parseSocketAddress(text), expected));
}

test("every token that is printed can be typed again, with or without 0x and leading zeros", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (token) => {
      for (const text of [formatToken(token), `0x${token.toString(16)}`, token.toString(16).toUpperCase()]) {
        assert.equal(parseToken(text), token);
      }
    }),
  );
  for (const text of ["", "0x", "123456789", "token", "-1"]) assert.equal(parseToken(text), undefined, text);
});

test("the nearest word is one that a finger could have missed", () => {
  assert.equal(nearest("endpiont", ["limits", "endpoint"]), "endpoint");
  assert.equal(nearest("conections", ["connections", "completion"]), "connections");
  assert.equal(nearest("frobnicate", ["limits", "endpoint"]), undefined);
});
