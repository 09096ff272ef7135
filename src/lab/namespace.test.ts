import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { labEnvironment, Namespace } from "./namespace.ts";
import { noteSlowness, patience } from "./patience.ts";

/** Tries to make a namespace where unshare(1) is this script. */
async function attempt(script: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "subflow-unshare-"));
  const before = process.env.PATH;
  try {
    writeFileSync(join(folder, "unshare"), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, "unshare"), 0o755);
    process.env.PATH = `${folder}:${before}`;
    const error = await Namespace.create().then(
      () => assert.fail("a namespace was made"),
      (reason: Error) => reason,
    );
    assert.equal((error as Error & { code: string }).code, "LAB_NOT_ALLOWED");
    return error.message;
  } finally {
    process.env.PATH = before;
    rmSync(folder, { recursive: true });
  }
}

test("a namespace that cannot be made says why, whatever became of unshare(1)", async () => {
  for (const [script, reason] of [
    ["kill -SEGV $$", "unshare(1) was killed by SIGSEGV"],
    ["exit 7", "unshare(1) ended with status 7 and said nothing"],
    ["echo 'unshare: not today' >&2; exit 1", "unshare: not today"],
  ] as const) {
    const message = await attempt(script);
    assert.ok(message.startsWith(`cannot make a network namespace: ${reason}. Run it as root`), message);
  }
});

test("ip and tc are found where a user's path has no sbin", () => {
  assert.equal(labEnvironment({ PATH: "/usr/bin:/bin" }).PATH, "/usr/bin:/bin:/usr/sbin:/sbin");
  assert.equal(labEnvironment({ PATH: "/usr/sbin:/sbin:/x" }).PATH, "/usr/sbin:/sbin:/x");
  assert.match(labEnvironment({}).PATH ?? "", /\/usr\/bin.*\/usr\/sbin/);
  assert.equal(labEnvironment({ A: "1" }).A, "1");
});

test("deadlines grow with what a machine was seen to need, never shrink, and have an end", () => {
  const now = patience(1000);
  assert.ok(now >= 1000);
  noteSlowness(0.001);
  assert.equal(patience(1000), now);
  noteSlowness(77.7);
  assert.ok(Number.isInteger(patience(1001)));
  noteSlowness(500);
  assert.ok(patience(1000) >= 10_000);
  noteSlowness(1e9);
  assert.equal(patience(1000), 30_000);
});
