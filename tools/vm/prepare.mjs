// What every run in a machine needs first: programs, the built project, the kernel, and an image of the system for it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build, nodeModules, PACKAGES, root, systemPackages } from "../setup.mjs";
import { systemImage } from "./image.mjs";
import { VmError } from "./kernel.mjs";
import { QEMU } from "./machine.mjs";

/** Kernels and images, each of its own version. */
export const cache = join(root, "node_modules", ".cache", "vm");

const NEEDED = [QEMU, "apt-get", "dpkg-deb", "depmod"];
const ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const isThere = (program) => spawnSync("which", [program], { env: ENV }).status === 0;

/** Installs what is missing, as root, and builds the project. @throws VmError where machines cannot be made */
export function prepare() {
  if (process.arch !== "x64")
    throw new VmError(`this builds machines for x86-64 on x86-64, and this is ${process.arch}`);
  systemPackages({ ...PACKAGES.run, ...PACKAGES.test, ...PACKAGES.vm });
  const missing = NEEDED.filter((program) => !isThere(program));
  if (missing.length > 0) throw new VmError(`not installed: ${missing.join(", ")}`);
  nodeModules();
  build();
  mkdirSync(cache, { recursive: true });
}

/** The system's image for a kernel; made once for a kernel and a Node. */
export function systemOf(kernel, refresh = false) {
  const path = join(cache, `system-${kernel.release}-${process.version}.cpio`);
  if (!refresh && existsSync(path)) return path;
  rmSync(path, { force: true });
  systemImage(`${path}.new`, kernel);
  renameSync(`${path}.new`, path);
  return path;
}

/** The commit that is tried. */
export function commit() {
  return spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).stdout.trim();
}
