// `npm run vm -- [--kernel SUITE|newest] [--results FOLDER] COMMAND...`: runs a command of the built project on another kernel, in
// qemu, without KVM: `npm run vm -- --kernel bookworm bin/subflow demo`. Ends with the command's status. What the command leaves in
// /results comes back into FOLDER. Kernels and images are kept in node_modules/.cache/vm.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { build, nodeModules, PACKAGES, root, systemPackages } from "./setup.mjs";
import { projectImage, systemImage } from "./vm/image.mjs";
import { initScript } from "./vm/init.mjs";
import { kernelOf, telling, VmError } from "./vm/kernel.mjs";
import { boot, joined, QEMU, unpack } from "./vm/machine.mjs";

const USAGE =
  "usage: npm run vm -- [--kernel SUITE|newest] [--results FOLDER] [--env NAME=VALUE] [--timeout SECONDS] [--refresh] COMMAND...";
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

function systemOf(kernel, refresh) {
  const path = join(cache, `system-${kernel.release}-${process.version}.cpio`);
  if (refresh || !existsSync(path)) {
    rmSync(path, { force: true });
    systemImage(`${path}.new`, kernel);
    spawnSync("mv", [`${path}.new`, path]);
  }
  return path;
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

await telling(main);
