import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

interface Guarded {
  readonly command: string;
  readonly args: string[];
  clean(): void;
}

const POLICY = "/usr/sbin/policy-rc.d";
/** The file as it is: content and mode; undefined: there is none. */
const look = (): string | undefined =>
  existsSync(POLICY) ? `${statSync(POLICY).mode} ${readFileSync(POLICY, "utf8")}` : undefined;

test("while packages are installed no service is started or enabled, and nothing of it is left", async (context) => {
  const file = join(import.meta.dirname, "..", "..", "..", "tools", "setup.mjs");
  const { withoutServices } = (await import(file)) as {
    withoutServices(command: readonly string[]): Guarded | undefined;
  };
  if (process.getuid?.() !== 0) return context.skip("only root installs packages");
  const before = look();
  const script = `${POLICY} cron start; echo policy $?; deb-systemd-helper enable nothing.service; echo helper $?`;
  const guarded = withoutServices(["sh", "-c", script]);
  if (!guarded) return context.skip("no mount namespaces here");
  try {
    const { stdout } = spawnSync(guarded.command, guarded.args, { encoding: "utf8" });
    assert.match(stdout, /^policy 101$/m);
    if (existsSync("/usr/bin/deb-systemd-helper")) assert.match(stdout, /^helper 0$/m);
  } finally {
    guarded.clean();
  }
  assert.equal(look(), before);
});
