// Debian's kernels of other releases, from the mirror that this machine's apt is set up for, without touching its state.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** Small, with MPTCP, veth, traffic control and netfilter. */
const META = "linux-image-cloud-amd64";
/** The whole one of Debian 13, with Wi-Fi: simulated radios (mac80211_hwsim). */
export const WIFI = "wifi";
const WHOLE = { suite: "trixie", meta: "linux-image-amd64" };
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** Which suites have the newest kernel changes with the time of year. */
const NEWEST = ["sid", "trixie-backports"];

/** Which suites keep the kernels of the series in between for a while. */
const SERIES_IN = ["trixie-backports", "sid", "trixie", "bookworm-backports"];

const SERIES = /^\d+\.\d+$/;
export const KERNEL_NAMES = 'a Debian suite ("bookworm"), a series ("6.18"), "newest", "wifi"';
export const isKernelName = (name) => SERIES.test(name) || /^[a-z][a-z0-9-]*$/.test(name);

/** What stopped us, in words for people. */
export class VmError extends Error {}

/** Runs the whole, and tells what stopped it. */
export async function telling(main) {
  try {
    await main();
  } catch (error) {
    const isTyping = String(error.code).startsWith("ERR_PARSE_ARGS");
    if (!(error instanceof VmError) && !isTyping) throw error;
    console.error(`vm: ${error.message}`);
    process.exitCode = 255;
  }
}

function output(what, command, args, env = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", env: { ...process.env, ...env }, maxBuffer: 1 << 28 });
  if (result.status === 0) return result.stdout;
  const reason = result.error?.message ?? `${result.stderr ?? ""}${result.stdout ?? ""}`.trim();
  throw new VmError(`${what}: ${command} failed: ${reason}`);
}

/** The Debian archive that this machine installs from. */
function mirror() {
  const format = "$(REPO_URI) $(LABEL) $(COMPONENT)";
  const lines = output("cannot read apt's sources", "apt-get", [
    "indextargets",
    "--format",
    format,
    "Created-By: Packages",
  ]);
  const found = lines.split("\n").find((line) => line.endsWith(" Debian main"));
  if (!found)
    throw new VmError("apt has no Debian archive among its sources: run `apt-get update`, or use a Debian machine");
  return found.split(" ")[0];
}

/**
 * An apt of our own for one suite: with our lists and an empty status, or it would prefer what is installed here. In a folder of its own for as
 * long as it is needed, so that two that run at the same time are in nobody's way.
 */
class Suite {
  #directory;
  #env;
  #meta;

  constructor(cache, suite, meta = META) {
    this.name = suite;
    this.#meta = meta;
    this.#directory = mkdtempSync(join(cache, "apt-"));
    const apt = this.#directory;
    for (const path of ["lists/partial", "archives/partial"]) mkdirSync(join(apt, path), { recursive: true });
    const signed = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : "";
    writeFileSync(join(apt, "status"), "");
    writeFileSync(join(apt, "sources.list"), `deb ${signed}${mirror()} ${suite} main\n`);
    const settings = {
      "Dir::State": apt,
      "Dir::State::lists": join(apt, "lists"),
      "Dir::State::status": join(apt, "status"),
      "Dir::Cache": apt,
      "Dir::Etc::sourcelist": join(apt, "sources.list"),
      "Dir::Etc::sourceparts": "/dev/null",
      "Dir::Etc::preferencesparts": "/dev/null",
      "APT::Architecture": "amd64",
      "APT::Architectures": "amd64",
      "APT::Sandbox::User": "root",
      // Of a suite's index nothing is wanted but names, versions and dependencies.
      "Acquire::Languages": "none",
      "APT::Update::Error-Mode": "any",
    };
    const text = Object.entries(settings).map(([key, value]) => `${key} "${value}";\n`);
    writeFileSync(join(apt, "apt.conf"), text.join(""));
    this.#env = { APT_CONFIG: join(apt, "apt.conf") };
    this.#update();
  }

  #update() {
    try {
      output(`cannot read what ${this.name} has`, "apt-get", ["update", "-qq"], this.#env);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** The image of the highest version of a series; undefined where there is none. */
  imageOf(series) {
    const names = output("cannot look up kernels", "apt-cache", ["pkgnames", `linux-image-${series}.`], this.#env);
    const versionOf = (name) => Number(/^linux-image-\d+\.\d+\.(\d+)/.exec(name)?.[1]);
    const found = names.split("\n").filter((name) => /\d-cloud-amd64$|deb\d+-cloud-amd64$/.test(name));
    return found.sort((one, other) => versionOf(other) - versionOf(one))[0];
  }

  /** The suite's own kernel. */
  get image() {
    const [image] = this.#dependencies(this.#meta, /^linux-image-\d/);
    if (!image) throw new VmError(`${this.#meta} of ${this.name} depends on no kernel image`);
    return image;
  }

  versionOf(name) {
    const policy = output("cannot look up the kernel", "apt-cache", ["policy", name], this.#env);
    const version = /Candidate: (\S+)/.exec(policy)?.[1];
    if (!version || version === "(none)") throw new VmError(`${this.name} has no ${name}`);
    return version;
  }

  /** Downloads and unpacks the image and its modules into a folder, which is there whole or not at all. */
  unpack(image, folder) {
    const packages = [image, ...this.#dependencies(image, /^linux-(binary|modules)-\d/)];
    const downloads = join(this.#directory, "packages");
    const root = join(this.#directory, "root");
    mkdirSync(downloads);
    const got = spawnSync("apt-get", ["download", "-qq", ...packages], {
      cwd: downloads,
      encoding: "utf8",
      env: { ...process.env, ...this.#env },
    });
    if (got.status !== 0) throw new VmError(`cannot download ${packages.join(" ")}: ${got.stderr.trim()}`);
    for (const file of readdirSync(downloads)) {
      output(`cannot unpack ${file}`, "dpkg-deb", ["-x", join(downloads, file), root]);
    }
    if (!existsSync(join(root, "lib"))) symlinkSync("usr/lib", join(root, "lib"));
    output("cannot list the modules", "depmod", ["-b", root, releaseIn(root)]);
    place(root, folder);
  }

  [Symbol.dispose]() {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #dependencies(name, pattern) {
    const lines = output("cannot look up the kernel", "apt-cache", ["depends", name], this.#env).split("\n");
    return lines.flatMap((line) => /Depends: (\S+)/.exec(line)?.[1] ?? []).filter((each) => pattern.test(each));
  }
}

/** Somebody else who made the same meanwhile is not disturbed: what is there may be in use. */
export function place(made, path) {
  try {
    renameSync(made, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  }
}

const releaseIn = (root) => {
  const [release] = readdirSync(join(root, "lib", "modules"));
  if (!release) throw new VmError(`${root} has no kernel modules`);
  return release;
};

/** For so long the version that was found for a name is taken for the newest. */
const FRESH = 7 * 24 * 3600 * 1000;

/**
 * The kernel of a Debian suite ("bookworm", "trixie-backports"), of a series ("6.18"), or the newest there is; a version is downloaded once.
 * @returns its release, and where it lies
 */
export function kernelOf(cache, wanted, { refresh = false } = {}) {
  const file = join(cache, `${wanted}.json`);
  const known = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
  const isThere = known !== undefined && existsSync(known.image);
  if (!refresh && isThere && Date.now() - statSync(file).mtimeMs < FRESH) return known;
  console.error(`looking for the kernel "${wanted}" in Debian's archive`);
  try {
    const kernel = found(cache, wanted);
    const text = `${file}.${process.pid}`;
    writeFileSync(text, JSON.stringify(kernel));
    renameSync(text, file);
    return kernel;
  } catch (error) {
    if (refresh || !isThere || !(error instanceof VmError)) throw error;
    console.error(`vm: ${error.message}: ${known.release} it is, as before`);
    return known;
  }
}

function found(cache, wanted) {
  const { suite, image: named } = suiteOf(cache, wanted);
  try {
    const image = named ?? suite.image;
    const version = `${image}_${suite.versionOf(image)}`;
    const root = join(cache, version);
    if (!existsSync(root)) suite.unpack(image, root);
    const release = releaseIn(root);
    const modules = join(root, "lib", "modules", release);
    // Since Debian's 7.2 the image lies beside its modules.
    const images = [join(root, "boot", `vmlinuz-${release}`), join(modules, "vmlinuz")];
    const file = images.find((path) => existsSync(path));
    if (!file) throw new VmError(`the packages of ${suite.name} have neither ${images.join(" nor ")}`);
    return { release, version, image: file, modules };
  } finally {
    suite[Symbol.dispose]();
  }
}

/** @returns the suite, which the caller is to dispose of, and the image, unless it is the suite's own kernel */
function suiteOf(cache, wanted) {
  if (wanted === "newest") return newest(cache);
  if (wanted === WIFI) return { suite: new Suite(cache, WHOLE.suite, WHOLE.meta) };
  if (!SERIES.test(wanted)) {
    return { suite: new Suite(cache, wanted) };
  }
  for (const name of SERIES_IN) {
    const suite = new Suite(cache, name);
    const image = suite.imageOf(wanted);
    if (image) return { suite, image };
    suite[Symbol.dispose]();
  }
  throw new VmError(`none of ${SERIES_IN.join(", ")} has a kernel ${wanted}`);
}

function newest(cache) {
  const suites = NEWEST.map((name) => new Suite(cache, name));
  const isNewer = (one, other) =>
    spawnSync("dpkg", ["--compare-versions", one.versionOf(META), "gt", other.versionOf(META)]).status === 0;
  const best = suites.reduce((one, other) => (isNewer(other, one) ? other : one));
  for (const suite of suites) if (suite !== best) suite[Symbol.dispose]();
  return { suite: best };
}
