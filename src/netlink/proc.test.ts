import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ERRNO } from "../types/index.ts";
import { readSysctl, writeSysctl } from "./index.ts";

const outside = ["net.//.kernel.ostype", "//.//.etc.hostname", "", ".", "net..", "net./.kernel", "net.\0"];

test("a sysctl's name leads nowhere but into /proc/sys", () => {
  for (const name of outside) {
    assert.throws(() => readSysctl(name), { code: "NETLINK", errno: ERRNO.EINVAL }, name);
    assert.throws(() => writeSysctl(name, "1"), { code: "NETLINK", errno: ERRNO.EINVAL }, name);
  }
  assert.equal(readSysctl("kernel.ostype"), "Linux");
  assert.equal(readSysctl("net.ipv4.conf.no/such/interface.rp_filter"), undefined);
});

test("any name is refused, unknown, or one that sysctl(8) would find too", () => {
  const part = fc.constantFrom("net", "ipv4", "kernel", "ostype", "//", "/", "", "a/b", "..");
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const name = parts.join(".");
      try {
        if (readSysctl(name) !== undefined) assert.equal(name, "kernel.ostype");
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        assert.ok(["NETLINK", "EISDIR", "ENOTDIR"].includes(code ?? ""), String(error));
      }
    }),
  );
});
