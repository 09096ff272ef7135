import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { EXAMPLE_TOPOLOGY } from "../../src/lab/index.ts";
import { SUBFLOW } from "../compat/support.ts";
import { kernelTest } from "./support.ts";

const CHILD = fileURLToPath(new URL("./lab-child.js", import.meta.url));

async function startHolding(mode: string): Promise<{ child: ChildProcess; pids: number[] }> {
  const child = spawn(process.execPath, [CHILD, mode], { stdio: ["ignore", "pipe", "ignore"] });
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  return { child, pids: JSON.parse(line.toString()).pids };
}

/** Zombies count as gone: whoever adopted them has only not looked yet. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch (error) {
    // It may go between any two looks, and while it is read.
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

async function assertGone(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (pids.some(isAlive)) {
    assert.ok(performance.now() < deadline, `still there: ${pids.filter(isAlive).join(", ")}`);
    await sleep(4);
  }
}

for (const signal of ["SIGKILL", "SIGINT", "SIGTERM", "SIGHUP"] as const) {
  kernelTest(`nothing survives ${signal}`, async () => {
    const { child, pids } = await startHolding("hold");
    assert.equal(pids.length, 4);
    assert.ok(pids.every(isAlive));
    child.kill(signal);
    await once(child, "exit");
    await assertGone(pids);
  });
}

for (const mode of ["throw", "dispose"]) {
  kernelTest(`nothing survives ${mode}`, async () => {
    const { child, pids } = await startHolding(mode);
    if (child.exitCode === null) await once(child, "exit");
    await assertGone(pids);
  });
}

const AS_NOBODY = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"];

/** A test that runs lab-child.ts as a user without any rights. */
function rootlessTest(name: string, run: () => Promise<void>): void {
  kernelTest(name, async (context) => {
    const command = ["unshare", "-Urn", process.execPath, "--check", CHILD];
    const [status] = await once(spawn("setpriv", [...AS_NOBODY, ...command], { stdio: "ignore" }), "exit");
    if (status === 0) return run();
    context.skip("a user without rights cannot make user namespaces here, or cannot read these files");
  });
}

/** Processes whose command line has a certain word, wherever they are. */
function withWord(word: string): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").includes(word);
    } catch {
      return false;
    }
  });
}

/** Starts what is as far from the lab as a process gets: a session, a network namespace and an environment of its own. */
const ESCAPE = (word: string): string =>
  `env -i PATH="$PATH" setsid unshare --net sleep ${word} >/dev/null 2>&1 &
   setsid nsenter --net="$SUBFLOW_LAB_SERVER" sleep ${word} >/dev/null 2>&1 &`;

for (const [ending, signal] of [
  ["the end of its command", undefined],
  ["SIGTERM", "SIGTERM"],
  ["SIGKILL", "SIGKILL"],
] as const) {
  for (const prefix of [[], ["setpriv", ...AS_NOBODY]] as const) {
    const declare = prefix.length === 0 ? kernelTest : rootlessTest;
    declare(`lab run: ${ending} ends whatever was started inside${prefix.length ? ", without root" : ""}`, async () => {
      const word = `${1000 + Math.random()}`;
      const directory = mkdtempSync(join(tmpdir(), "subflow-lab-"));
      chmodSync(directory, 0o755);
      const file = join(directory, "two-paths.yaml");
      writeFileSync(file, EXAMPLE_TOPOLOGY);
      // An ordinary user's path has no sbin: ip and tc are found all the same, by the lab and inside it.
      const env = { ...process.env, PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
      const script = `tc qdisc show dev wifi >/dev/null || exit 9; ${ESCAPE(word)} echo started; read -r _; exit 7`;
      const words = [...prefix, process.execPath, SUBFLOW, "lab", "run", file, "--", "sh", "-c", script];
      const child = spawn(words[0]!, words.slice(1), { stdio: ["pipe", "pipe", "inherit"], env });
      await once(child.stdout!, "data");
      const deadline = performance.now() + 10_000;
      while (withWord(word).length < 2) {
        assert.ok(performance.now() < deadline, "nothing was started");
        await sleep(4);
      }
      const pids = withWord(word);
      const exit = once(child, "exit");
      if (signal) child.kill(signal);
      else child.stdin!.end("\n");
      const [status] = (await exit) as [number | null];
      if (signal !== "SIGKILL") assert.equal(status, signal ? 143 : 7);
      await assertGone(pids);
      rmSync(directory, { recursive: true });
    });
  }
}
rootlessTest("a lab without root, in a user namespace", async () => {
  const child = spawn("setpriv", [...AS_NOBODY, process.execPath, CHILD, "rootless"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const [status] = await once(child, "close");
  assert.equal(status, 0);
  const { bytes, isIntact, uid } = JSON.parse(output);
  assert.deepEqual({ bytes, isIntact, uid }, { bytes: 100_000, isIntact: true, uid: 0 });
});

rootlessTest("nothing survives SIGKILL without root", async () => {
  const command = [...AS_NOBODY, process.execPath, CHILD, "rootless-hold"];
  const child = spawn("setpriv", command, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const { pids } = JSON.parse(line.toString());
  assert.ok(pids.every(isAlive));
  child.kill("SIGKILL");
  await once(child, "exit");
  await assertGone(pids);
});
