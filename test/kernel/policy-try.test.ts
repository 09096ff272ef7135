import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { conforms } from "../fixtures/schemas.ts";
import { SUBFLOW } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

interface Tried {
  readonly policy: string;
  readonly is_intact: boolean;
}

kernelTest("policy try: a policy from `policy new` carries the demo's download beside resilient", () => {
  const folder = mkdtempSync(join(tmpdir(), "subflow-try-"));
  // Its process belongs to nobody.
  chmodSync(folder, 0o755);
  const run = (...words: string[]) =>
    spawnSync(process.execPath, [SUBFLOW, ...words], { cwd: folder, encoding: "utf8", timeout: 90_000 });
  assert.equal(run("policy", "new", "mine").status, 0);
  const again = run("policy", "new", "mine");
  assert.deepEqual([again.status, again.stderr], [1, "Error: there is a file mine.mjs already.\n"]);
  const { status, stdout, stderr } = run("-j", "policy", "try", "mine.mjs");
  assert.equal(status, 0, stderr);
  const tried = conforms<Tried[]>("policy-try", stdout);
  assert.deepEqual(
    tried.map(({ policy, is_intact: isIntact }) => [policy, isIntact]),
    [
      ["mine.mjs", true],
      ["resilient", true],
    ],
  );
});
