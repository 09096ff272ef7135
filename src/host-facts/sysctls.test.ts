import assert from "node:assert/strict";
import { test } from "node:test";
import { Sysctls } from "./sysctls.ts";

test("sysctls are read when somebody asks, once until they are forgotten", () => {
  const files = new Map([["a", "1"]]);
  const read: string[] = [];
  const sysctls = new Sysctls((name) => {
    read.push(name);
    return files.get(name);
  });
  assert.deepEqual(
    [sysctls.get("a"), sysctls.get("a"), sysctls.get("b"), sysctls.get("b")],
    ["1", "1", undefined, undefined],
  );
  assert.deepEqual(read, ["a", "b"]);
  const { revision } = sysctls;
  sysctls.forget();
  assert.equal(sysctls.get("a"), "1");
  assert.equal(sysctls.revision, revision, "nothing changed");
  files.set("a", "2");
  sysctls.forget();
  assert.equal(sysctls.get("a"), "2");
  assert.notEqual(sysctls.revision, revision);
});
