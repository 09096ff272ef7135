import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const tool = join(import.meta.dirname, "..", "..", "..", "tools", "check-native.mjs");

test("the addon in Node stands its tests under AddressSanitizer and UndefinedBehaviorSanitizer", (context) => {
  if (spawnSync("gcc", ["--version"]).status !== 0) return context.skip("there is no gcc");
  const { status, stdout, stderr } = spawnSync(process.execPath, [tool, "1", "node"], { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /address,undefined in Node: [1-9]\d* tests? passed/);
});
