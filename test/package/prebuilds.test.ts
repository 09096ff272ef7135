import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..", "..", "..");

/** Which compiler made a binary: another one makes other bytes. */
const compilerOf = (folder: string): string => readFileSync(join(folder, "built-with"), "utf8").trim();

for (const arch of ["x64", "arm64"]) {
  test(`the binaries for ${arch} are what their sources give, byte for byte`, (context) => {
    const out = mkdtempSync(join(tmpdir(), "subflow-native-"));
    context.after(() => rmSync(out, { recursive: true }));
    const words = [join(root, "tools", "build-native.mjs"), arch, "--out", out];
    const { status, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
    if (status !== 0 && /no C compiler found/.test(stderr)) {
      assert.ok(!process.env.EXPECT_KERNEL, stderr);
      return context.skip(stderr.trim());
    }
    assert.equal(status, 0, stderr);
    const [built, kept] = [join(out, `linux-${arch}`), join(root, "prebuilds", `linux-${arch}`)];
    if (compilerOf(built) !== compilerOf(kept)) {
      return context.skip(`built here with ${compilerOf(built)}, kept is what ${compilerOf(kept)} made`);
    }
    for (const name of ["subflow.node", "mptcp-socket.so"]) {
      const bytes = (folder: string): Buffer => readFileSync(join(folder, name));
      assert.ok(bytes(built).equals(bytes(kept)), `${name}: run \`npm run build:native\` and commit prebuilds/`);
    }
  });
}
