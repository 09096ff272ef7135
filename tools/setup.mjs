// Everything that a fresh clone needs before anything of it can run; does only what is not done yet.
// Plain JavaScript on Node's own modules: nothing is installed when it starts.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
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
  (program.startsWith("/") && existsSync(program)) ||
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
    /** A terminal for what draws on one. */
    script: "bsdutils",
  },
  /** Who else manages paths: tests beside them are skipped where they are missing, except in CI. */
  peers: {
    mptcpd: "mptcpd",
    "addr_adv.so": "mptcpd-plugins",
    NetworkManager: "network-manager",
    "dbus-daemon": "dbus-daemon",
    /** Programs that `subflow exec` is tried with, clients of other languages, and what judges manual pages and packages. */
    python3: "python3",
    curl: "curl",
    nginx: "nginx-light",
    groff: "groff-base",
    mandoc: "mandoc",
    lintian: "lintian",
    /** A browser for `subflow web`. */
    chromium: "chromium",
    /** Metrics and alert rules, proved by whom they are for. */
    promtool: "prometheus",
    /** The addons are built again and compared. */
    gcc: "gcc",
    "/usr/include/linux/netlink.h": "linux-libc-dev",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "/usr/aarch64-linux-gnu/include/linux/netlink.h": "linux-libc-dev-arm64-cross",
  },
  bench: { mptcpd: "mptcpd", tcpdump: "tcpdump", gcc: "gcc", "pkg-config": "pkg-config" },
  vm: {
    "qemu-system-x86_64": "qemu-system-x86",
    depmod: "kmod",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    ldd: "libc-bin",
  },
};

/** Installs missing Debian packages when root, without any of their services; names them in one line when not. */
export function systemPackages(wanted) {
  const missing = [...new Set(Object.entries(wanted).flatMap(([program, name]) => (has(program) ? [] : [name])))];
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !has("apt-get")) {
    console.error(`missing: ${missing.join(" ")}; install with: sudo apt-get install ${missing.join(" ")}`);
    return;
  }
  const install = withoutServices(["apt-get", "install", "-y", "-qq", "--no-install-recommends", ...missing]);
  if (install === undefined) {
    const why = "their services could not be kept from starting here";
    console.error(`missing: ${missing.join(" ")}; not installed, since ${why}: apt-get install ${missing.join(" ")}`);
    return;
  }
  console.error(`installing ${missing.join(" ")} (their services are neither started nor enabled)`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  try {
    if (run(install.command, install.args, { env }) === 0) return;
    must("apt-get update", "apt-get", ["update", "-qq"], { env });
    must("apt-get install", install.command, install.args, { env });
  } finally {
    install.clean();
  }
}

/** Asked by everything in Debian that is about to start a service (invoke-rc.d(8)); 101 forbids it. */
const POLICY = "/usr/sbin/policy-rc.d";
/** What starts and enables units for the scripts of packages. */
const HELPERS = ["/usr/bin/deb-systemd-helper", "/usr/bin/deb-systemd-invoke"];

/**
 * A command line that runs another one in a mount namespace of its own, in which nothing starts or enables a service. However
 * it ends, nothing of that is left: an empty file at most, which is not executable and forbids nothing. undefined where such
 * a namespace cannot be made.
 */
export function withoutServices(command) {
  const quiet = { stdio: "ignore" };
  if (spawnSync("unshare", ["--mount", "mount", "--bind", "/bin/true", "/bin/true"], quiet).status !== 0)
    return undefined;
  const isOurs = !existsSync(POLICY);
  if (isOurs) writeFileSync(POLICY, "");
  const hidden = HELPERS.filter((file) => existsSync(file)).map((file) => `mount --bind /bin/true ${file}`);
  const policy = `policy=$(mktemp) && printf '#!/bin/sh\\nexit 101\\n' >"$policy" && chmod 755 "$policy"`;
  // Removed once it is mounted: the mount keeps it for as long as it is needed.
  const mounts = [policy, `mount --bind "$policy" ${POLICY}`, 'rm -f "$policy"', ...hidden].join(" && ");
  return {
    command: "unshare",
    args: ["--mount", "sh", "-c", `${mounts} && exec "$@"`, "sh", ...command],
    clean: () => {
      if (isOurs && readFileSync(POLICY, "utf8") === "") rmSync(POLICY);
    },
  };
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

// `setup.mjs peers`: the packages of that name and no more.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const packages = PACKAGES[process.argv[2]];
  if (packages) systemPackages(packages);
  else setup();
}
