import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { NetlinkSubscription } from "./subscription.ts";

/** Who has no more threads than its processes have already: root is not bound by that, so a user without a name is asked. */
const NAMELESS = 65_433;

/** Listens, forbids itself further threads, and listens again. */
const SCRIPT = `
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { NetlinkSubscription } from ${JSON.stringify(new URL("./subscription.js", import.meta.url).href)};
const listen = () => new NetlinkSubscription(0, [1], { onMessage: () => undefined, onOverrun: () => undefined });
listen().close();
execFileSync("prlimit", ["--pid", String(process.pid), "--nproc=1:1"]);
const before = readdirSync("/proc/self/fd").length;
for (let nth = 0; nth < 3; nth++) {
  try {
    listen();
    console.log("listens");
  } catch (error) {
    console.log(error.message);
  }
}
console.log(readdirSync("/proc/self/fd").length - before);
`;

test("subscription: without a thread to be had it says so, and leaves nothing behind", (context) => {
  const own = process.getuid?.() === 0 ? { uid: NAMELESS, gid: NAMELESS } : {};
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", SCRIPT], {
    ...own,
    encoding: "utf8",
    cwd: "/",
  });
  if (stderr.includes("ENOENT")) return context.skip("no prlimit(1) here");
  const lines = stdout.trim().split("\n");
  assert.equal(status, 0, stderr);
  assert.equal(lines.pop(), "0", "files left open");
  assert.equal(lines.length, 3);
  for (const line of lines) assert.match(line, /^subscribe: EAGAIN: .*ulimit -u/);
});

/** Nanoseconds at a time that the scheduler gives each thread of ours (sched_debug of Linux 6.12); undefined: this one does not say. */
function turns(): (number | undefined)[] {
  const threads = readdirSync("/proc/self/task");
  return threads.map((thread) => {
    const text = readFileSync(`/proc/self/task/${thread}/sched`, "utf8");
    const slice = /^se\.slice\s*:\s*(\d+)$/m.exec(text)?.[1];
    return slice === undefined ? undefined : Number(slice);
  });
}

test("subscription: its thread asks for short turns, so that it is let in where processors are busy; nobody else does", async (context) => {
  const before = turns();
  if (before.some((slice) => slice === undefined || slice === 0)) return context.skip("this kernel does not say");
  const subscription = new NetlinkSubscription(0, [1], { onMessage: () => undefined, onOverrun: () => undefined });
  const short = () => turns().filter((slice) => slice === 100_000).length;
  const had = before.filter((slice) => slice === 100_000).length;
  // The first thing it does, and its own affair when.
  for (let tries = 0; tries < 1000 && short() === had; tries++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(short(), had + 1);
  subscription.close();
});
