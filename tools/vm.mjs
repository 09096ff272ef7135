// `npm run vm -- [--kernel SUITE|newest] [--results FOLDER] COMMAND...`: runs a command of the built project on another kernel, in
// qemu, without KVM: `npm run vm -- --kernel bookworm bin/subflow demo`. Ends with the command's status. What the command leaves in
// /results comes back into FOLDER. Kernels and images are kept in node_modules/.cache/vm.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { build, nodeModules, PACKAGES, root, systemPackages } from "./setup.mjs";
import { projectImage, systemImage } from "./vm/image.mjs";
import { initScript } from "./vm/init.mjs";
import { kernelOf, VmError } from "./vm/kernel.mjs";

const USAGE =
  "usage: npm run vm -- [--kernel SUITE|newest] [--results FOLDER] [--env NAME=VALUE] [--timeout SECONDS] [--refresh] COMMAND...";
const QEMU = "qemu-system-x86_64";
const MEMORY = "3000";
const cache = join(root, "node_modules", ".cache", "vm");

function options(words) {
  const found = { kernel: "newest", results: undefined, env: {}, timeout: 1800, refresh: false, command: [] };
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    const value = () => {
      const next = words[++at];
      if (next === undefined) throw new VmError(`${word} needs a value\n${USAGE}`);
      return next;
    };
    if (word === "--kernel") found.kernel = value();
    else if (word === "--results") found.results = resolve(value());
    else if (word === "--timeout") found.timeout = Number(value());
    else if (word === "--refresh") found.refresh = true;
    else if (word === "--env") {
      const [name, ...rest] = value().split("=");
      found.env[name] = rest.join("=");
    } else if (word.startsWith("--")) throw new VmError(`unknown option ${word}\n${USAGE}`);
    else {
      found.command = words.slice(at);
      break;
    }
  }
  if (found.command.length === 0) throw new VmError(USAGE);
  if (!/^[a-z][a-z0-9-]*$/.test(found.kernel))
    throw new VmError(`--kernel: "${found.kernel}" is no name of a Debian suite`);
  if (!(found.timeout > 0)) throw new VmError("--timeout: a number of seconds");
  return found;
}

/** One file of several archives: the kernel unpacks them one after the other. */
function joined(path, parts) {
  const fd = openSync(path, "w");
  for (const part of parts) {
    const bytes = readFileSync(part);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  }
}

function systemOf(kernel, refresh) {
  const path = join(cache, `system-${kernel.release}-${process.version}.cpio`);
  if (refresh || !existsSync(path)) {
    rmSync(path, { force: true });
    systemImage(`${path}.new`, kernel);
    spawnSync("mv", [`${path}.new`, path]);
  }
  return path;
}

async function boot(kernel, initrd, serial, timeout) {
  const words = ["-kernel", kernel.image, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1 mitigations=off"];
  // QEMU 7.2 emulates cmpxchg16b wrongly, and the guest may panic.
  const machine = ["-accel", "tcg,thread=multi", "-cpu", "max,-cx16", "-smp", "2", "-m", MEMORY, "-no-reboot"];
  const lines = ["-display", "none", "-serial", "stdio", "-serial", `file:${serial}`, "-nic", "none"];
  const child = spawn(QEMU, [...machine, ...words, ...lines], { stdio: ["ignore", "inherit", "inherit"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), timeout * 1000);
  const end = () => child.kill("SIGKILL");
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, end);
  const [, signal] = await once(child, "exit");
  clearTimeout(timer);
  if (signal) throw new VmError(`the machine was ended: it took longer than ${timeout} s, or somebody stopped it`);
}

/** What the machine handed back. @returns the command's exit status */
function unpack(serial, results) {
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

async function main() {
  const wanted = options(process.argv.slice(2));
  if (process.arch !== "x64")
    throw new VmError(`this builds machines for x86-64 on x86-64, and this is ${process.arch}`);
  systemPackages({ ...PACKAGES.run, ...PACKAGES.test, ...PACKAGES.vm });
  for (const program of [QEMU, "apt-get", "dpkg-deb", "depmod"]) {
    if (
      spawnSync("which", [program], { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` } }).status !==
      0
    )
      throw new VmError(`${program} is not installed`);
  }
  nodeModules();
  build();
  mkdirSync(cache, { recursive: true });
  const kernel = kernelOf(cache, wanted.kernel, wanted);
  const system = systemOf(kernel, wanted.refresh);
  const directory = mkdtempSync(join(cache, "run-"));
  try {
    const [project, initrd, serial] = ["project.cpio", "initrd", "serial"].map((name) => join(directory, name));
    const commit = spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).stdout.trim();
    projectImage(project, root, initScript(wanted.command, { COMMIT: commit, ...wanted.env }));
    joined(initrd, [system, project]);
    await boot(kernel, initrd, serial, wanted.timeout);
    process.exitCode = unpack(serial, wanted.results);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof VmError)) throw error;
  console.error(`vm: ${error.message}`);
  process.exitCode = 255;
}
