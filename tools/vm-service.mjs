// `npm run vm:service -- [--kernel KERNEL] [--suite SUITE] [--with-node] [--keep FOLDER]`: the Debian package and its service, tried where they live: a
// small Debian under systemd, on a kernel of Debian's, in qemu. The suite is the kernel's, where it is one, and the package for bookworm, whose Node
// is too old, the one that carries a Node. What is tried stands in packaging/test/service.sh. Needs root and debootstrap; everything is kept in
// ~/.cache/subflow-vm. Ends with 0 when every check held.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { nodeModules, PACKAGES, root, systemPackages } from "./setup.mjs";
import { Archive } from "./vm/cpio.mjs";
import { kernelOf, telling, VmError } from "./vm/kernel.mjs";
import { boot, joined, unpack } from "./vm/machine.mjs";
import { cache } from "./vm/prepare.mjs";

const INCLUDED =
  "systemd,systemd-sysv,dbus,iproute2,nodejs,adduser,procps,kmod,udev,python3-minimal,curl,mptcpd,mptcpd-plugins";
/** Of a Debian nobody looks at. */
const UNUSED = /\/usr\/share\/(doc|locale|man|info)\/|\/var\/(cache|lib)\/apt\/.|\/boot\/./;
/** Those that there is a Debian of, besides a kernel. */
const SUITES = ["bookworm", "trixie"];
/** Its own Node is 18. */
const WITHOUT_NODE = "bookworm";
const TIMEOUT = 1800;

function must(what, command, args, options = {}) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28, ...options });
  if (status !== 0) throw new VmError(`${what}: ${error?.message ?? (stderr ?? "").trim()}`);
}

/** A small Debian, made once. */
function debianOf(suite) {
  const folder = join(cache, `debian-${suite}`);
  if (existsSync(folder)) return folder;
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  console.error(`making a Debian of ${suite}`);
  must("debootstrap", "debootstrap", ["--variant=minbase", `--include=${INCLUDED}`, suite, fresh], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  renameSync(fresh, folder);
  return folder;
}

/** Two versions, so that one can be upgraded to the other. */
function packages(out, withNode) {
  const variant = withNode ? ["--with-node"] : [];
  for (const version of ["0.1.0", "0.1.1"]) {
    const words = ["tools/package.mjs", "amd64", "--fast", "--out", out, ...variant, "--version", version];
    must("npm run package", process.execPath, words, { cwd: root });
  }
}

function image(path, { debian, kernel, debs }) {
  const archive = new Archive(path);
  archive.link("init", "usr/lib/systemd/systemd");
  for (const name of ["proc", "sys", "dev", "run", "results"]) archive.directory(name);
  archive.directory("tmp", 0o1777);
  archive.device("dev/console", 5, 1);
  archive.file("etc/fstab", "");
  archive.file("etc/hostname", "vm\n");
  archive.file("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
  archive.link("etc/systemd/system/default.target", "/usr/lib/systemd/system/multi-user.target");
  archive.link("etc/systemd/system/multi-user.target.wants/subflow-check.service", "../subflow-check.service");
  // It would hang up the line that the results are read from.
  archive.link("etc/systemd/system/serial-getty@ttyS0.service", "/dev/null");
  archive.copy(join(root, "packaging", "test", "subflow-check.service"), "etc/systemd/system/subflow-check.service");
  archive.copy(join(root, "packaging", "test", "service.sh"), "check/service.sh");
  archive.copy(join(root, "packaging", "drop-ins"), "check/drop-ins");
  archive.copy(debs, "check/debs");
  archive.copy(
    kernel.modules,
    `usr/lib/modules/${kernel.release}`,
    (file) => !/\/kernel\/(drivers\/(?!net)|sound|fs)/.test(file),
  );
  archive.copy(debian, ".", (file) => !UNUSED.test(file.slice(debian.length)));
  archive.close();
}

async function main() {
  const { values } = parseArgs({
    options: {
      kernel: { type: "string", default: "trixie" },
      suite: { type: "string" },
      "with-node": { type: "boolean", default: false },
      keep: { type: "string" },
    },
  });
  const suite = values.suite ?? (SUITES.includes(values.kernel) ? values.kernel : "trixie");
  systemPackages({ ...PACKAGES.vm, debootstrap: "debootstrap" });
  nodeModules();
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, "run-"));
  try {
    const [initrd, serial, debs] = ["initrd", "serial", "debs"].map((name) => join(directory, name));
    packages(debs, values["with-node"] || suite === WITHOUT_NODE);
    const kernel = kernelOf(cache, values.kernel);
    const debian = debianOf(suite);
    image(`${initrd}.cpio`, { debian, kernel, debs });
    joined(initrd, [`${initrd}.cpio`]);
    const quiet = "systemd.show_status=false systemd.log_level=warning audit=0 loglevel=1";
    await boot(kernel, initrd, serial, { timeout: TIMEOUT, more: quiet });
    process.exitCode = unpack(serial, values.keep && resolve(values.keep));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await telling(main);
