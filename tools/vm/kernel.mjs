// Debian's kernels of other releases, from the mirror that this machine's apt is set up for, without touching its state.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** Small, with MPTCP, veth, traffic control and netfilter. */
const META = "linux-image-cloud-amd64";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** Which suites have the newest kernel changes with the time of year. */
const NEWEST = ["sid", "trixie-backports"];

/** Which suites keep the kernels of the series in between for a while. */
const SERIES_IN = ["trixie-backports", "sid", "trixie", "bookworm-backports"];

const SERIES = /^\d+\.\d+$/;
export const KERNEL_NAMES = 'a Debian suite ("bookworm"), a series ("6.18"), "newest"';
export const isKernelName = (name) => SERIES.test(name) || /^[a-z][a-z0-9-]*$/.test(name);

/** What stopped us, in words for people. */
export class VmError extends Error {}

/** Runs the whole, and tells what stopped it. */
export async function telling(main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
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

/** An apt of our own for one suite: with our lists and an empty status, or it would prefer what is installed here. */
class Suite {
  #directory;
  #env;

  constructor(cache, suite) {
    this.name = suite;
    this.#directory = join(cache, suite);
    const apt = join(this.#directory, "apt");
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
    };
    const text = Object.entries(settings).map(([key, value]) => `${key} "${value}";\n`);
    writeFileSync(join(apt, "apt.conf"), text.join(""));
    this.#env = { APT_CONFIG: join(apt, "apt.conf") };
  }

  /** The image of the highest version of a series; undefined where there is none. */
  imageOf(series) {
    output(`cannot read what ${this.name} has`, "apt-get", ["update", "-qq"], this.#env);
    const names = output("cannot look up kernels", "apt-cache", ["pkgnames", `linux-image-${series}.`], this.#env);
    const versionOf = (name) => Number(/^linux-image-\d+\.\d+\.(\d+)/.exec(name)?.[1]);
    const found = names.split("\n").filter((name) => /\d-cloud-amd64$|deb\d+-cloud-amd64$/.test(name));
    return found.sort((one, other) => versionOf(other) - versionOf(one))[0];
  }

  update() {
    output(`cannot read what ${this.name} has`, "apt-get", ["update", "-qq"], this.#env);
    const policy = output("cannot look up the kernel", "apt-cache", ["policy", META], this.#env);
    const version = /Candidate: (\S+)/.exec(policy)?.[1];
    if (!version || version === "(none)") throw new VmError(`${this.name} has no ${META}`);
    return version;
  }

  /** Downloads and unpacks image and modules: of this package, or of the suite's own kernel. @returns the folder */
  unpack(wanted) {
    const [image] = wanted ? [wanted] : this.#dependencies(META, /^linux-image-\d/);
    if (!image) throw new VmError(`${META} of ${this.name} depends on no kernel image`);
    const packages = [image, ...this.#dependencies(image, /^linux-(binary|modules)-\d/)];
    const downloads = join(this.#directory, "packages");
    const root = join(this.#directory, wanted ? `root-${wanted}` : "root");
    for (const path of [downloads, root]) rmSync(path, { recursive: true, force: true });
    mkdirSync(downloads);
    const got = spawnSync("apt-get", ["download", "-qq", ...packages], {
      cwd: downloads,
      encoding: "utf8",
      env: { ...process.env, ...this.#env },
    });
    if (got.status !== 0) throw new VmError(`cannot download ${packages.join(" ")}: ${got.stderr.trim()}`);
    const partial = `${root}.new`;
    rmSync(partial, { recursive: true, force: true });
    for (const file of readdirSync(downloads)) {
      output(`cannot unpack ${file}`, "dpkg-deb", ["-x", join(downloads, file), partial]);
    }
    if (!existsSync(join(partial, "lib"))) symlinkSync("usr/lib", join(partial, "lib"));
    output("cannot list the modules", "depmod", ["-b", partial, releaseIn(partial)]);
    renameSync(partial, root);
    rmSync(downloads, { recursive: true });
    return root;
  }

  #dependencies(name, pattern) {
    const lines = output("cannot look up the kernel", "apt-cache", ["depends", name], this.#env).split("\n");
    return lines.flatMap((line) => /Depends: (\S+)/.exec(line)?.[1] ?? []).filter((each) => pattern.test(each));
  }
}

const releaseIn = (root) => {
  const [release] = readdirSync(join(root, "lib", "modules"));
  if (!release) throw new VmError(`${root} has no kernel modules`);
  return release;
};

/**
 * The kernel of a Debian suite ("bookworm", "trixie-backports"), of a series ("6.18"), or the newest there is; downloaded once.
 * @returns its release, and the folder where it lies
 */
export function kernelOf(cache, wanted, { refresh = false } = {}) {
  const known = join(cache, `${wanted}.json`);
  if (!refresh && existsSync(known)) {
    const kernel = JSON.parse(readFileSync(known, "utf8"));
    if (existsSync(kernel.image)) return kernel;
  }
  console.error(`looking for the kernel "${wanted}" in Debian's archive`);
  const { suite, image: named } = suiteOf(cache, wanted);
  const root = suite.unpack(named);
  const release = releaseIn(root);
  const modules = join(root, "lib", "modules", release);
  // Since Debian's 7.2 the image lies beside its modules.
  const images = [join(root, "boot", `vmlinuz-${release}`), join(modules, "vmlinuz")];
  const image = images.find((path) => existsSync(path));
  if (!image) throw new VmError(`the packages of ${suite.name} have neither ${images.join(" nor ")}`);
  const kernel = { release, image, modules };
  writeFileSync(known, JSON.stringify(kernel));
  return kernel;
}

function suiteOf(cache, wanted) {
  if (wanted === "newest") return { suite: newest(cache) };
  if (!SERIES.test(wanted)) {
    const suite = new Suite(cache, wanted);
    suite.update();
    return { suite };
  }
  for (const name of SERIES_IN) {
    const suite = new Suite(cache, name);
    const image = suite.imageOf(wanted);
    if (image) return { suite, image };
  }
  throw new VmError(`none of ${SERIES_IN.join(", ")} has a kernel ${wanted}`);
}

function newest(cache) {
  const [first, ...others] = NEWEST.map((name) => new Suite(cache, name)).map((suite) => [suite, suite.update()]);
  let [best, version] = first;
  for (const [suite, candidate] of others) {
    if (spawnSync("dpkg", ["--compare-versions", candidate, "gt", version]).status === 0)
      [best, version] = [suite, candidate];
  }
  return best;
}
