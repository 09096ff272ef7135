// Builds prebuilds/linux-<arch>/subflow.node from native/*.c, and what `subflow exec` preloads, mptcp-socket.so: `npm run build:native [x64|arm64 ...]`, by default every
// architecture whose compiler is installed. CC overrides the compiler of this machine's own architecture. --out FOLDER
// leaves prebuilds/ alone. Beside each binary stands which compiler made it: the same one makes the same bytes again.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const headers = createRequire(import.meta.url)("node-api-headers").include_dir;

const TARGETS = {
  x64: { compiler: "x86_64-linux-gnu-gcc", flags: [] },
  // Kernels with pages of 64 KB refuse a binary whose segments are aligned to less.
  arm64: { compiler: "aarch64-linux-gnu-gcc", flags: ["-mno-outline-atomics", "-Wl,-z,max-page-size=65536"] },
};

const FLAGS = [
  ..."-std=c11 -Os -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden".split(" "),
  // Freestanding: no C library is linked, so the binary asks nothing of the machine but Node itself.
  ..."-ffreestanding -nostdlib -fno-stack-protector -fno-asynchronous-unwind-tables".split(" "),
  ..."-fno-tree-loop-distribute-patterns -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,relro -s".split(" "),
];

function compilerOf(arch) {
  const names = arch === process.arch ? [process.env.CC, "gcc", "cc", "clang"] : [];
  return [...names, TARGETS[arch].compiler].find((name) => name && spawnSync(name, ["--version"]).status === 0);
}

const { values, positionals: asked } = parseArgs({ options: { out: { type: "string" } }, allowPositionals: true });
const out = resolve(values.out ?? join(root, "prebuilds"));

function build(arch, compiler) {
  const folder = join(out, `linux-${arch}`);
  mkdirSync(folder, { recursive: true });
  const sources = readdirSync(join(root, "native"))
    .filter((name) => name.endsWith(".c"))
    .sort()
    .map((name) => `native/${name}`);
  const output = join(folder, "subflow.node");
  execFileSync(compiler, [...FLAGS, ...TARGETS[arch].flags, "-isystem", headers, "-o", output, ...sources], {
    cwd: root,
    stdio: "inherit",
  });
  const preloaded = join(folder, "mptcp-socket.so");
  const own = ["native/preload/mptcp-socket.c", "-o", preloaded, "-Wl,-soname,mptcp-socket.so"];
  execFileSync(compiler, [...FLAGS, ...TARGETS[arch].flags, ...own], { cwd: root, stdio: "inherit" });
  const [version] = execFileSync(compiler, ["--version"], { encoding: "utf8" }).split("\n");
  writeFileSync(join(folder, "built-with"), `${version.replace(/^\S+ /, "")}\n`);
  console.log(`${output} (${compiler})`);
}

let built = 0;
for (const arch of asked.length > 0 ? asked : Object.keys(TARGETS)) {
  if (!TARGETS[arch]) throw new Error(`no such architecture: ${arch}; known: ${Object.keys(TARGETS).join(", ")}`);
  const compiler = compilerOf(arch);
  if (compiler) {
    build(arch, compiler);
    built++;
  } else if (asked.length > 0) {
    console.error(`linux-${arch}: no C compiler found; install gcc (Debian: ${TARGETS[arch].compiler})`);
    process.exit(1);
  }
}
if (built === 0) {
  console.error("no C compiler found; install gcc (Debian: apt install gcc libc6-dev), or set CC");
  process.exit(1);
}
