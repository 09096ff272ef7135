import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const tool = join(import.meta.dirname, "..", "..", "..", "tools", "check-native.mjs");
const hasCompiler = spawnSync("gcc", ["--version"]).status === 0;

test("the answer thread stands a storm under ThreadSanitizer and AddressSanitizer", (context) => {
  if (!hasCompiler) return context.skip("there is no gcc");
  const { status, stdout, stderr } = spawnSync(process.execPath, [tool, "500", "stress"], { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^thread: .*\baddress,undefined: /s);
});
