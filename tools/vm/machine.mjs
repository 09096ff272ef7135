// The machine itself: booted in qemu, without KVM, and what it hands back through its second serial line.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { VmError } from "./kernel.mjs";

export const QEMU = "qemu-system-x86_64";
const MEMORY = "3000";
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

/** One file of several archives: the kernel unpacks them one after the other. */
export function joined(path, parts) {
  const fd = openSync(path, "w");
  for (const part of parts) {
    const bytes = readFileSync(part);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  }
  closeSync(fd);
}

/** Somebody who stops this wants no further machine either. */
export class StoppedError extends VmError {}

/**
 * Runs until the machine ends.
 * @param {object} options `more`: words for the kernel
 * @returns the seconds of processor time that it took
 */
export async function boot(kernel, initrd, serial, { timeout, more = "" }) {
  const words = `console=ttyS0 quiet panic=-1 mitigations=off ${more}`;
  // QEMU 7.2 emulates cmpxchg16b wrongly, and the guest may panic.
  const machine = ["-accel", "tcg,thread=multi", "-cpu", "max,-cx16", "-smp", "2", "-m", MEMORY];
  const lines = ["-display", "none", "-serial", "stdio", "-serial", `file:${serial}`, "-nic", "none", "-no-reboot"];
  const system = ["-kernel", kernel.image, "-initrd", initrd, "-append", words];
  // All else on this machine goes first, and no machine outlives us.
  const guard = ["--pdeathsig", "KILL", "nice", QEMU];
  const command = [...guard, ...machine, ...system, ...lines];
  const child = spawn("setpriv", command, { stdio: ["ignore", "inherit", "inherit"] });
  let stopped;
  let seconds = 0;
  const end = (signal) => {
    stopped = signal;
    child.kill("SIGKILL");
  };
  const timer = setTimeout(() => end("it took too long"), timeout * 1000);
  const clock = setInterval(() => (seconds = Math.max(seconds, processorTime(child.pid))), 500);
  for (const signal of SIGNALS) process.on(signal, end);
  const [status, signal] = await once(child, "exit").finally(() => {
    clearTimeout(timer);
    clearInterval(clock);
    for (const signal of SIGNALS) process.off(signal, end);
  });
  if (SIGNALS.includes(stopped)) throw new StoppedError(`stopped by ${stopped}`);
  if (stopped) throw new VmError(`the machine was ended: it took longer than ${timeout} s`);
  if (status !== 0) throw new VmError(`${QEMU} ended with ${signal ?? `status ${status}`}`);
  return Math.round(seconds);
}

/** What a process has taken of the processors so far (proc_pid_stat(5): utime and stime, in hundredths of a second). */
function processorTime(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
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
