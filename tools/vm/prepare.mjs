// What every run in a machine needs first: programs, the built project, the kernel, and an image of the system for it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { build, nodeModules, PACKAGES, root, systemPackages } from "../setup.mjs";
import { modulesImage, programsImage, programsVersion } from "./image.mjs";
import { place, VmError } from "./kernel.mjs";
import { QEMU } from "./machine.mjs";

/** Kernels and images, each of its own version; outside of the clone, or each would download all of it again, and `npm ci` would throw it away. */
export const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "subflow-vm");

const NEEDED = [QEMU, "apt-get", "dpkg-deb", "depmod"];
const ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const DAY = 24 * 3600 * 1000;
const isThere = (program) => spawnSync("which", [program], { env: ENV }).status === 0;

/** Installs what is missing, as root. @throws VmError where machines cannot be made */
export function prepare() {
  if (process.arch !== "x64")
    throw new VmError(`this builds machines for x86-64 on x86-64, and this is ${process.arch}`);
  systemPackages({ ...PACKAGES.run, ...PACKAGES.test, ...PACKAGES.vm });
  const missing = NEEDED.filter((program) => !isThere(program));
  if (missing.length > 0) throw new VmError(`not installed: ${missing.join(", ")}`);
  mkdirSync(cache, { recursive: true });
  sweep();
}

/** What runs that were killed left behind. */
function sweep() {
  for (const name of readdirSync(cache)) {
    const path = join(cache, name);
    if (/^(apt|run|project)-|\.\d+$/.test(name) && Date.now() - statSync(path).mtimeMs > DAY)
      rmSync(path, { recursive: true, force: true });
  }
}

/** Builds the project. */
export function built() {
  nodeModules();
  build();
}

/** @returns the images of the system for a kernel: programs, and the kernel's modules. Made once for a version of each. */
export function systemOf(kernel) {
  return [
    made(`programs-${programsVersion()}.cpio`, programsImage),
    made(`modules-${kernel.version}.cpio`, (path) => modulesImage(path, kernel)),
  ];
}

function made(name, make) {
  const path = join(cache, name);
  if (existsSync(path)) return path;
  const fresh = `${path}.${process.pid}`;
  try {
    make(fresh);
    place(fresh, path);
  } finally {
    rmSync(fresh, { force: true });
  }
  return path;
}

/** The commit that is tried. */
export function commit() {
  return spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).stdout.trim();
}
