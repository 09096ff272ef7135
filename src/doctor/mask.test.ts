import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAddress, parseAddress } from "../types/index.ts";
import { maskAddresses, scopeOf } from "./index.ts";

test("each address becomes a word that keeps family and scope, always the same one", () => {
  for (const [text, masked] of [
    ["10.0.0.1 10.0.0.2 10.0.0.1", "v4-private-1 v4-private-2 v4-private-1"],
    ["8.8.8.8:443 via 100.64.0.1", "v4-global-1:443 via v4-shared-1"],
    ["[2a00:1450::1]:443 fe80::1%eth0 fd00::1", "[v6-global-1]:443 v6-linklocal-1%eth0 v6-private-1"],
    ["2A00:1450:0::1 2a00:1450::1", "v6-global-1 v6-global-1"],
    ["::ffff:10.0.0.1 10.0.0.1", "::ffff:v4-private-1 v4-private-1"],
    ["02:00:00:00:00:01 02:00:00:00:00:01", "mac-1 mac-1"],
    ['{"address":"10.0.0.1","prefix":24}', '{"address":"v4-private-1","prefix":24}'],
    ["127.0.0.1 0.0.0.0 :: ::1 192.0.2.1 2001:db8::1", "127.0.0.1 0.0.0.0 :: ::1 192.0.2.1 2001:db8::1"],
    ["kernel 6.18.44-rc1, 12:34:56, 1.2.3", "kernel 6.18.44-rc1, 12:34:56, 1.2.3"],
  ] as const) {
    assert.equal(maskAddresses(text), masked);
  }
});

test("no address survives, wherever it stands", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  const around = fc.constantFrom(["", ""], ['"', '"'], ["[", "]:443"], ["via ", " dev eth0"], ["", "/24"], ["", ","]);
  fc.assert(
    fc.property(bytes, around, (raw, [before, after]) => {
      const address = formatAddress(raw);
      if (scopeOf(address) === undefined) return;
      const masked = maskAddresses(`${before}${address}${after}`);
      assert.ok(!masked.includes(address), masked);
      assert.match(masked, /v[46]-[a-z]+-1/);
      assert.equal(parseAddress(address), address);
    }),
  );
});
