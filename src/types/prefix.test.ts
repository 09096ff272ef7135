import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, isWithin, parsePrefix } from "./index.ts";

test("prefix: what is one", () => {
  assert.deepEqual(parsePrefix("10.0.0.0/8"), { bytes: [10, 0, 0, 0], length: 8 });
  assert.equal(parsePrefix("10.1.2.3")?.length, 32);
  assert.equal(parsePrefix("2001:db8::1")?.length, 128);
  for (const bad of ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/8/9", "10.0.0.0/-1", "all"])
    assert.equal(parsePrefix(bad), undefined, bad);
});

test("prefix: what is in it", () => {
  const within = (prefix: string, address: string) => isWithin(parsePrefix(prefix)!, address as Address);
  assert.ok(within("172.16.0.0/12", "172.31.255.255"));
  assert.ok(!within("172.16.0.0/12", "172.32.0.0"));
  assert.ok(within("10.0.0.0/8", "::ffff:10.9.9.9"), "mapped counts as IPv4");
  assert.ok(within("0.0.0.0/0", "8.8.8.8"));
  assert.ok(!within("0.0.0.0/0", "2001:db8::1"));
  assert.ok(within("fe80::/10", "febf::1"));
  assert.ok(!within("fe80::/10", "fec0::1"));
  assert.ok(within("2001:db8::1", "2001:db8::1"));
});
