// The machine itself: booted in qemu, without KVM, and what it hands back through its second serial line.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { VmError } from "./kernel.mjs";

export const QEMU = "qemu-system-x86_64";
const MEMORY = "3000";

/** One file of several archives: the kernel unpacks them one after the other. */
export function joined(path, parts) {
  const fd = openSync(path, "w");
  for (const part of parts) {
    const bytes = readFileSync(part);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  }
}

/** Runs until the machine ends. @param more words for the kernel */
export async function boot(kernel, initrd, serial, timeout, more = "") {
  const words = [
    "-kernel",
    kernel.image,
    "-initrd",
    initrd,
    "-append",
    `console=ttyS0 quiet panic=-1 mitigations=off ${more}`,
  ];
  // QEMU 7.2 emulates cmpxchg16b wrongly, and the guest may panic.
  const machine = ["-accel", "tcg,thread=multi", "-cpu", "max,-cx16", "-smp", "2", "-m", MEMORY, "-no-reboot"];
  const lines = ["-display", "none", "-serial", "stdio", "-serial", `file:${serial}`, "-nic", "none"];
  // All else on this machine goes first.
  const child = spawn("nice", [QEMU, ...machine, ...words, ...lines], { stdio: ["ignore", "inherit", "inherit"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), timeout * 1000);
  const end = () => child.kill("SIGKILL");
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, end);
  const [, signal] = await once(child, "exit");
  clearTimeout(timer);
  if (signal) throw new VmError(`the machine was ended: it took longer than ${timeout} s, or somebody stopped it`);
}

/** What the machine handed back. @returns the command's exit status */
export function unpack(serial, results) {
  const list = spawnSync("tar", ["-xOf", serial, "./.status"], { encoding: "utf8" });
  if (list.status !== 0) throw new VmError("the machine ended without a result: see what it said above");
  if (results !== undefined) {
    mkdirSync(results, { recursive: true });
    const { status, stderr } = spawnSync("tar", ["-C", results, "--exclude=./.status", "-xf", serial], {
      encoding: "utf8",
    });
    if (status !== 0) throw new VmError(`cannot unpack the results: ${stderr}`);
  }
  return Number(list.stdout.trim());
}
