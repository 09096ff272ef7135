import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import type { Host, Lab } from "../../src/lab/index.ts";
import { readPathManager } from "../../src/netlink/index.ts";
import { configFile, DaemonProcess, DEADLINE, stateOf } from "./daemon-support.ts";
import { threeLinks } from "./host-support.ts";
import { kernelTest } from "./support.ts";

const USERSPACE = ["--path-manager", "userspace"];

function isAlive(pid: number): boolean {
  if (!readdirSync("/proc").includes(String(pid))) return false;
  return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
}

async function becomes(lab: Lab, host: Host, manager: string, what: string): Promise<void> {
  await lab.waitFor(() => readPathManager(host.netns) === manager, DEADLINE, `${manager}: ${what}`);
}

kernelTest("a daemon that is killed leaves new connections the path manager that there was before", () =>
  threeLinks(async ({ lab, host }) => {
    for (const signal of ["SIGKILL", "SIGSEGV"] as const) {
      const daemon = await DaemonProcess.start(lab, host, ...USERSPACE);
      assert.equal(readPathManager(host.netns), "userspace");
      await daemon.end(signal);
      await becomes(lab, host, "kernel", signal);
    }
  }),
);

kernelTest("the next life is not undone by the will of the one before", () =>
  threeLinks(async ({ lab, host }) => {
    for (let round = 0; round < 5; round++) {
      const daemon = await DaemonProcess.start(lab, host, ...USERSPACE);
      const { will } = stateOf(host);
      assert.ok(will !== undefined && isAlive(will));
      // The will cannot act while it is stopped: it would after the next daemon has set its own.
      if (round % 2 === 0) process.kill(will, "SIGSTOP");
      await daemon.end("SIGKILL");
      const next = await DaemonProcess.start(lab, host, ...USERSPACE);
      assert.ok(!isAlive(will), "the next start ends it");
      assert.equal(readPathManager(host.netns), "userspace");
      await next.end();
      assert.equal(readPathManager(host.netns), "kernel");
    }
  }),
);

kernelTest("who ends well, who is to keep things, and who changed nothing leave no process behind", () =>
  threeLinks(async ({ lab, host }) => {
    const daemon = await DaemonProcess.start(lab, host, ...USERSPACE);
    const { will } = stateOf(host);
    assert.ok(will !== undefined);
    await daemon.end();
    await lab.waitFor(() => !isAlive(will), DEADLINE, "the will ends");
    assert.equal(readPathManager(host.netns), "kernel");
    for (const args of [
      ["--path-manager", "kernel"],
      [...USERSPACE, "--keep-on-exit"],
    ]) {
      const other = await DaemonProcess.start(lab, host, ...args, "--config", configFile(""));
      assert.equal(stateOf(host).will, undefined, args.join(" "));
      await other.end();
    }
    assert.equal(readPathManager(host.netns), "userspace", "kept");
  }),
);

kernelTest("without a shell, or with a will that somebody killed, the daemon serves and ends well", () =>
  threeLinks(async ({ lab, host }) => {
    const daemon = await DaemonProcess.start(lab, host, ...USERSPACE);
    process.kill(stateOf(host).will!, "SIGKILL");
    assert.ok(await daemon.hello());
    assert.equal(await daemon.end(), 0);
    assert.equal(readPathManager(host.netns), "kernel");
  }),
);
