import assert from "node:assert/strict";
import { isIPv4, isIPv6, SocketAddress as NodeSocketAddress } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { type Address, addressBytes, formatAddress, parseAddress, pathKey, sameAddress, unmap } from "./index.ts";

test("canonical text", () => {
  const cases: [string, string | undefined][] = [
    ["10.0.0.1", "10.0.0.1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["::ffff:10.0.0.1", "::ffff:10.0.0.1"],
    ["::ffff:a00:1", "::ffff:10.0.0.1"],
    ["10.0.0", undefined],
    ["10.0.0.256", undefined],
    ["10.0.0.01", undefined],
    ["1:2:3:4:5:6:7:8:9", undefined],
    ["1::2::3", undefined],
    [":1", undefined],
    ["1:2:3:4:5:6:7::8", undefined],
    ["fe80::1%eth0", undefined],
    ["", undefined],
  ];
  for (const [text, expected] of cases) assert.equal(parseAddress(text), expected, text);
});

test("any bytes give text that is read back as the same bytes, and that Node takes too", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(
    fc.property(bytes, (input) => {
      const text = formatAddress(input);
      assert.deepEqual(addressBytes(text), [...input]);
      assert.ok(input.length === 4 ? isIPv4(text) : isIPv6(text), text);
      if (input.length === 16 && !text.includes(".")) {
        assert.equal(new NodeSocketAddress({ address: text, family: "ipv6" }).address, text);
      }
    }),
  );
});

test("any text is taken exactly when Node takes it", () => {
  const text = fc.stringMatching(/^[0-9a-f:.]{0,24}$/);
  fc.assert(
    fc.property(text, (input) => {
      assert.equal(parseAddress(input) !== undefined, isIPv4(input) || isIPv6(input), input);
    }),
    { numRuns: 2000 },
  );
});

test("v4-mapped counts as v4", () => {
  assert.equal(unmap("::ffff:10.0.0.1" as Address), "10.0.0.1");
  assert.ok(sameAddress("::ffff:10.0.0.1" as Address, "10.0.0.1" as Address));
  const local = { address: "10.0.0.1" as Address, port: 1 };
  const remote = { address: "10.0.0.2" as Address, port: 2 };
  const mapped = { local: { ...local, address: "::ffff:10.0.0.1" as Address }, remote };
  assert.equal(pathKey({ local, remote }), pathKey(mapped));
});
