// The file system of the machine: what this one has, as far as it is needed, and the built project.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { Archive } from "./cpio.mjs";
import { VmError } from "./kernel.mjs";

/** Debian packages whose programs go in. */
const PACKAGES = [
  "bash",
  "coreutils",
  "findutils",
  "grep",
  "sed",
  "tar",
  "gzip",
  "util-linux",
  "mount",
  "procps",
  "kmod",
  "iproute2",
  "nftables",
  "iptables",
  "tcpdump",
  "libcap2-bin",
];
const PROGRAM = /^\/(usr\/)?s?bin\/[^/]+$/;
/** Of the kernel's modules, those that networks are made of. */
const MODULES = [
  "kernel/net",
  "kernel/lib",
  "kernel/crypto",
  "kernel/drivers/net/veth.ko",
  "kernel/drivers/net/dummy.ko",
  "kernel/drivers/net/wireless/virtual",
];
/** Build tools of the project, which the machine has no use for. */
const UNUSED = /^(\.cache|\.bin|@biomejs|@typescript|typescript|playwright-core|axe-core)$/;

/** Programs of this machine with the libraries they need. */
export function programsImage(path) {
  const archive = new Archive(path);
  for (const name of [
    "proc",
    "sys",
    "dev",
    "run",
    "etc",
    "root",
    "results",
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/lib64",
  ])
    archive.directory(name);
  archive.directory("tmp", 0o1777);
  for (const name of ["bin", "sbin", "lib", "lib64"]) archive.link(name, `usr/${name}`);
  archive.link("var", "run");
  archive.device("dev/console", 5, 1);
  archive.file("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n");
  archive.file("etc/group", "root:x:0:\nnogroup:x:65534:\n");
  const programs = [...PACKAGES.flatMap(programsOf), process.execPath];
  for (const program of programs) put(archive, program);
  archive.link("usr/bin/sh", "bash");
  archive.link("usr/bin/node", process.execPath);
  for (const library of librariesOf(programs)) put(archive, library);
  for (const folder of ["/etc/iproute2", "/usr/lib/x86_64-linux-gnu/xtables"])
    if (existsSync(folder)) archive.copy(folder);
  archive.close();
}

/** What changes with the versions of the packages that programs are taken from. */
export function programsVersion() {
  const { stdout } = spawnSync("dpkg-query", ["-W", ...PACKAGES, "libc6"], { encoding: "utf8" });
  return createHash("sha256").update(`${stdout}${process.version}`).digest("hex").slice(0, 16);
}

/** The kernel's modules. */
export function modulesImage(path, { modules: from, release }) {
  const archive = new Archive(path);
  const to = `usr/lib/modules/${release}`;
  for (const file of readdirSync(from)) {
    if (file.startsWith("modules.")) archive.copy(join(from, file), `${to}/${file}`);
  }
  for (const part of MODULES) {
    const folder = part.includes(".ko") ? dirname(part) : part;
    if (!existsSync(join(from, folder))) continue;
    if (folder === part) archive.copy(join(from, part), `${to}/${part}`);
    else {
      for (const file of readdirSync(join(from, folder))) {
        if (file.startsWith(basename(part))) archive.copy(join(from, folder, file), `${to}/${folder}/${file}`);
      }
    }
  }
  archive.close();
}

function programsOf(name) {
  const { status, stdout } = spawnSync("dpkg", ["-L", name], { encoding: "utf8" });
  if (status !== 0) throw new VmError(`the package ${name} is not installed: apt-get install ${name}`);
  // A diverted or cleaned-up file is listed too.
  return stdout.split("\n").filter((file) => PROGRAM.test(file) && existsSync(file));
}

/** In its real folder: /bin is a link to /usr/bin; and where it is a link itself, what it leads to. */
function put(archive, path) {
  archive.copy(join(realpathSync(dirname(path)), basename(path)));
  if (!lstatSync(path).isSymbolicLink()) return;
  const target = realpathSync(path);
  archive.copy(target);
}

function librariesOf(programs) {
  const { stdout } = spawnSync("ldd", programs, { encoding: "utf8", maxBuffer: 1 << 26 });
  const found = [...stdout.matchAll(/(?:=> |^\s)(\/\S+) \(0x/gm)].map(([, path]) => path);
  return [...new Set(found)];
}

/** The first process by itself: an archive to go behind the others. */
export function jobImage(path, job) {
  const archive = new Archive(path);
  archive.file("init", job, 0o755);
  archive.close();
}

/** What is built of the project, and the job, unless that comes by itself. */
export function projectImage(path, project, job) {
  const archive = new Archive(path);
  if (job !== undefined) archive.file("init", job, 0o755);
  const isBuilt = (file) => file !== join(project, "dist", "kernels");
  for (const name of [
    "bin",
    "dist",
    "docs",
    "examples",
    "prebuilds",
    "tools/vm/guest.mjs",
    "package.json",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
  ]) {
    if (existsSync(join(project, name))) archive.copy(join(project, name), `subflow/${name}`, isBuilt);
  }
  const isWanted = (file) => !UNUSED.test(basename(file)) && !file.includes("/node_modules/.package-lock");
  archive.copy(join(project, "node_modules"), "subflow/node_modules", isWanted);
  archive.close();
}
