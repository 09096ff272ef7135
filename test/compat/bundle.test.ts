import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Outcome, runCommand, TestNamespace, whyNoKernel } from "./support.ts";

const BIN = fileURLToPath(new URL("../../../bin/subflow", import.meta.url));
const BUNDLE = fileURLToPath(new URL("../../bundle/subflow.cjs", import.meta.url));
const skip = whyNoKernel() ?? (existsSync(BUNDLE) ? undefined : "the bundle is not built: npm run build");

describe("the bundle does what the modules do", { skip }, () => {
  let namespace: TestNamespace;
  before(() => {
    namespace = new TestNamespace();
  });
  after(() => namespace?.remove());

  const run = (...words: string[]): Outcome => runCommand(BIN, ["-n", namespace.name, ...words]);

  for (const [words, exitStatus, stdout, stderr] of [
    ["limits", 0, /^add_addr_accepted 0 subflows 2 \n$/, /^$/],
    ["endpoint add 10.0.1.1 dev d0 subflow", 0, /^$/, /^$/],
    ["-j endpoint", 0, /^\[\{"address":"10\.0\.1\.1","id":1,"subflow":true,"dev":"d0"\}\]\n$/, /^$/],
    ["endpoint add 10.0.1.1 subflow", 2, /^$/, /^Error: too many addresses or duplicate one: -17\.\n$/],
    ["endpoint add 10.0.1.1 signal fullmesh", 255, /^$/, /both signal and fullmesh/],
    ["connections", 0, /^$/, /no MPTCP connections/],
    ["status", 0, /path manager +kernel/, /^$/],
    ["help endpoint add", 0, /^Usage: subflow endpoint add ADDRESS/, /^$/],
    ["completion bash", 0, /complete -F _subflow subflow/, /^$/],
    ["destroy deadbeef d0", 2, /^$/, /no connection has the token/],
  ] as const) {
    test(words, () => {
      const outcome = run(...words.split(" "));
      assert.equal(outcome.exitStatus, exitStatus, outcome.stderr);
      assert.match(outcome.stdout, stdout);
      assert.match(outcome.stderr, stderr);
    });
  }
});
