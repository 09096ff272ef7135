import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { HookRunner, type RunnerOptions, WAITING_MAX } from "./runner.ts";

function runner(script: string, more: Partial<RunnerOptions> = {}) {
  const troubles: string[] = [];
  const command = [process.execPath, "-e", script] as const;
  const onTrouble = (text: string): void => void troubles.push(text.replace(process.execPath, "it"));
  return {
    runner: new HookRunner({ command, user: undefined, timeout: 20_000, jobs: 2, onTrouble, ...more }),
    troubles,
  };
}

/** A directory that is gone with the test. */
async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "subflow-hook-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("hook: the command reads what happened, has its environment and nothing else of ours", () =>
  inFolder(async (folder) => {
    process.env.SECRET_OF_OURS = "1";
    const script = `require("fs").writeFileSync(${JSON.stringify(join(folder, "said"))},
      JSON.stringify([require("fs").readFileSync(0, "utf8"), process.env.SUBFLOW_EVENT, process.env.SECRET_OF_OURS ?? "none"]))`;
    const { runner: hooks, troubles } = runner(script);
    hooks.add('{"type":"x"}\n', { SUBFLOW_EVENT: "x y; $(z)" });
    await hooks.idle();
    assert.deepEqual(JSON.parse(readFileSync(join(folder, "said"), "utf8")), ['{"type":"x"}\n', "x y; $(z)", "none"]);
    assert.deepEqual(troubles, []);
  }));

test("hook: few run at once, and all have their turn", () =>
  inFolder(async (folder) => {
    const file = JSON.stringify(folder);
    const script = `const fs = require("fs"), f = ${file} + "/" + process.pid; fs.writeFileSync(f + ".now", "");
      const n = fs.readdirSync(${file}).filter((x) => x.endsWith(".now")).length; setTimeout(() => { fs.rmSync(f + ".now"); fs.writeFileSync(f + "." + n + ".done", ""); }, 50)`;
    const { runner: hooks } = runner(script);
    for (let n = 0; n < 6; n++) hooks.add("", {});
    await hooks.idle();
    const done = readdirSync(folder).map((name) => Number(name.split(".")[1]));
    assert.equal(done.length, 6);
    assert.ok(Math.max(...done) <= 2, done.join());
  }));

test("hook: one that takes too long ends with what it has started; one that fails, or is not there, is told of", async () => {
  const began = performance.now();
  const slow = runner(`require("child_process").spawnSync("sleep", ["60"]); process.on("SIGTERM", () => {})`, {
    timeout: 300,
  });
  slow.runner.add("", {});
  await slow.runner.idle();
  assert.ok(performance.now() - began < 15_000);
  assert.deepEqual(slow.troubles, ["it takes more than 0.3 s and is ended"]);
  const failing = runner("process.exit(3)");
  failing.runner.add("x".repeat(1 << 20), {});
  await failing.runner.idle();
  assert.deepEqual(failing.troubles, ["it ended with 3"]);
  const missing = runner("", { command: ["/nowhere/at/all"] });
  missing.runner.add("", {});
  await missing.runner.idle();
  assert.match(missing.troubles[0] ?? "", /ENOENT/);
});

test("hook: what happens faster than the command is left out, the oldest first, and that is said once", async () => {
  const { runner: hooks, troubles } = runner("", { command: ["/nowhere/at/all"], jobs: 1 });
  for (let n = 0; n < WAITING_MAX + 100; n++) hooks.add("", {});
  assert.deepEqual(troubles, ["the command is slower than what happens: some of it is left out"]);
  await hooks.end();
});
