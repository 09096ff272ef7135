// Everything that a fresh clone needs before anything of it can run; does only what is not done yet.
// Plain JavaScript on Node's own modules: nothing is installed when it starts.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a program; its output is shown only when it fails, or when `show` says so. */
export function run(command, args, { show = false, env = process.env } = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    env,
    stdio: show ? "inherit" : ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (result.status !== 0 && !show) {
    process.stderr.write(
      `${result.stdout ?? ""}${result.stderr ?? ""}${result.error ? `${result.error.message}\n` : ""}`,
    );
  }
  return result.status ?? 1;
}

/** Runs a program or ends this one. */
export function must(what, command, args, options) {
  const status = run(command, args, options);
  if (status !== 0) {
    console.error(`${what} failed (exit ${status})`);
    process.exit(1);
  }
}

const MPTCPD_PLUGINS = `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/mptcpd`;

const has = (program) =>
  (process.env.PATH ?? "")
    .split(":")
    .concat("/usr/sbin", "/sbin", "/usr/libexec", MPTCPD_PLUGINS)
    .some((directory) => existsSync(join(directory, program)));

/** Debian packages by the program that tells whether they are there. */
export const PACKAGES = {
  run: { ip: "iproute2", tc: "iproute2", unshare: "util-linux", nsenter: "util-linux" },
  test: {
    ip: "iproute2",
    nft: "nftables",
    iptables: "iptables",
    setpriv: "util-linux",
    tcpdump: "tcpdump",
    capsh: "libcap2-bin",
  },
  /** Who else manages paths: tests beside them are skipped where they are missing, except in CI. */
  peers: {
    mptcpd: "mptcpd",
    "addr_adv.so": "mptcpd-plugins",
    NetworkManager: "network-manager",
    "dbus-daemon": "dbus-daemon",
  },
  bench: { mptcpd: "mptcpd", tcpdump: "tcpdump", gcc: "gcc", "pkg-config": "pkg-config" },
};

/** Installs missing Debian packages when root, names them in one line when not. */
export function systemPackages(wanted) {
  const missing = [...new Set(Object.entries(wanted).flatMap(([program, name]) => (has(program) ? [] : [name])))];
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !has("apt-get")) {
    console.error(`missing: ${missing.join(" ")}; install with: sudo apt-get install ${missing.join(" ")}`);
    return;
  }
  console.error(`installing ${missing.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = ["install", "-y", "-qq", "--no-install-recommends", ...missing];
  if (run("apt-get", install, { env }) === 0) return;
  must("apt-get update", "apt-get", ["update", "-qq"], { env });
  must("apt-get install", "apt-get", install, { env });
}

const time = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

/** node_modules as package-lock.json says; scripts of packages are not needed and not run. */
export function nodeModules() {
  const installed = join(root, "node_modules", ".package-lock.json");
  if (time(installed) >= time(join(root, "package-lock.json"))) return;
  console.error("installing npm packages");
  must("npm ci", "npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
}

/** Compiles every room, then bundles the command. */
export function build() {
  must("compiling", process.execPath, [join("node_modules", "typescript", "bin", "tsc"), "-b"]);
  must("bundling", process.execPath, [join("tools", "bundle.mjs")]);
}

export function setup(packages = PACKAGES.run) {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < 20) {
    console.error(`Subflow needs Node 20 or newer, this is ${process.version}`);
    process.exit(1);
  }
  systemPackages(packages);
  nodeModules();
  build();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setup();
