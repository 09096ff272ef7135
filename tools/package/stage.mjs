// The files of a Debian package, as they will stand below /.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { writeManPages } from "../man.mjs";
import { runtime } from "./runtime.mjs";

const HOME = "usr/lib/subflow";
const DOC = "usr/share/doc";
const SCRIPTS = ["postinst", "prerm", "postrm"];
/** As every tool of Debian's takes them from its user; without, an address that is none. */
const MAINTAINER = `${process.env.DEBFULLNAME ?? "Subflow developers"} <${process.env.DEBEMAIL ?? "packages@subflow.example"}>`;

/** Lays a package out in a folder. @returns its name, its version and how many bytes it installs */
export function stage(options) {
  const { root, folder, withNode, epoch } = options;
  chmodSync(folder, 0o755);
  const name = withNode ? "subflow-standalone" : "subflow";
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const version = options.version ?? manifest.version;
  const place = new Place(folder, root);
  program(place, { ...options, manifest });
  place.copy("packaging/systemd", "usr/lib/systemd/system");
  place.copy("packaging/debian/subflow.yaml", "etc/subflow/subflow.yaml");
  documents(place, name, epoch, version);
  completions(place);
  const overrides = withNode ? ["subflow", "subflow-standalone"] : ["subflow"];
  const lines = overrides.map((each) =>
    readFileSync(join(root, "packaging/debian", `${each}.lintian-overrides`), "utf8"),
  );
  place.write(`usr/share/lintian/overrides/${name}`, lines.join(""));
  control(place, { ...options, name, version, manifest });
  place.settle(epoch);
  return { name, version, bytes: place.bytes() };
}

/** A folder that becomes /. */
class Place {
  constructor(folder, root) {
    this.folder = folder;
    this.root = root;
  }

  copy(from, to, filter = () => true) {
    mkdirSync(dirname(join(this.folder, to)), { recursive: true });
    cpSync(join(this.root, from), join(this.folder, to), { recursive: true, filter });
  }

  write(to, content, mode = 0o644) {
    mkdirSync(dirname(join(this.folder, to)), { recursive: true });
    writeFileSync(join(this.folder, to), content, { mode });
  }

  /** Every file and folder, deepest last, without DEBIAN. */
  entries(below = "") {
    return readdirSync(join(this.folder, below), { withFileTypes: true })
      .sort((one, other) => (one.name < other.name ? -1 : 1))
      .flatMap((entry) => {
        const path = join(below, entry.name);
        if (path === "DEBIAN") return [];
        return entry.isDirectory() ? [path, ...this.entries(path)] : [path];
      });
  }

  files() {
    return this.entries().filter((path) => lstatSync(join(this.folder, path)).isFile());
  }

  bytes() {
    return this.files().reduce((sum, path) => sum + lstatSync(join(this.folder, path)).size, 0);
  }

  /** Modes and times that do not tell who built it, or when. */
  settle(epoch) {
    for (const path of this.entries()) {
      const full = join(this.folder, path);
      const stat = lstatSync(full);
      if (stat.isSymbolicLink()) continue;
      chmodSync(full, stat.isDirectory() || stat.mode & 0o100 ? 0o755 : 0o644);
      utimesSync(full, epoch, epoch);
    }
  }
}

function program(place, { arch, withNode, manifest, root }) {
  const bare = { name: manifest.name, version: manifest.version, license: manifest.license, type: manifest.type };
  place.write(`${HOME}/package.json`, `${JSON.stringify(bare, null, 2)}\n`);
  place.copy("bin/package.json", `${HOME}/bin/package.json`);
  // A cache of compiled code is good for one version of Node only, and that of the distribution changes.
  place.copy("dist/bundle", `${HOME}/dist/bundle`, (file) => !file.endsWith(".cache"));
  place.copy(`prebuilds/linux-${arch}`, `${HOME}/prebuilds/linux-${arch}`, (file) => !file.endsWith("built-with"));
  for (const file of ["subflow.node", "mptcp-socket.so"]) {
    chmodSync(join(place.folder, HOME, "prebuilds", `linux-${arch}`, file), 0o644);
  }
  // The variable PATH must not choose what root runs.
  const interpreter = withNode ? `/${HOME}/node` : "/usr/bin/node";
  const script = readFileSync(join(root, "bin", "subflow"), "utf8").replace(/^#!.*/, `#!${interpreter}`);
  place.write(`${HOME}/bin/subflow`, script, 0o755);
  mkdirSync(join(place.folder, "usr/bin"), { recursive: true });
  symlinkSync(`../lib/subflow/bin/subflow`, join(place.folder, "usr/bin/subflow"));
  if (!withNode) return;
  const { binary, license } = runtime(root, arch);
  place.write(`${HOME}/node`, readFileSync(binary), 0o755);
  place.write(`${DOC}/subflow-standalone/LICENSE.node.gz`, gzip(readFileSync(license)));
}

/** Without the time, so that the same text gives the same bytes. */
const gzip = (content) => gzipSync(content, { level: 9 });

function documents(place, name, epoch, version) {
  const doc = `${DOC}/${name}`;
  place.copy("packaging/debian/copyright", `${doc}/copyright`);
  place.copy("packaging/drop-ins", `${doc}/drop-ins`);
  place.copy("docs", `${doc}/docs`, (file) => !/\.svg$/.test(file));
  place.write(`${doc}/NEWS.gz`, gzip(readFileSync(join(place.root, "CHANGELOG.md"))));
  const date = new Date(epoch * 1000).toUTCString().replace("GMT", "+0000");
  const entry = `subflow (${version}) unstable; urgency=medium\n\n  * See NEWS.gz.\n\n -- ${MAINTAINER}  ${date}\n`;
  place.write(`${doc}/changelog.gz`, gzip(entry));
  for (const { file, text } of writeManPages()) {
    place.write(`usr/share/man/man${file.at(-1)}/${file}.gz`, gzip(text));
  }
}

function completions(place) {
  const script = (shell) => execFileSync(process.execPath, [join(place.root, "bin/subflow"), "completion", shell]);
  place.write("usr/share/bash-completion/completions/subflow", script("bash"));
  place.write("usr/share/zsh/vendor-completions/_subflow", script("zsh"));
  place.write("usr/share/fish/vendor_completions.d/subflow.fish", script("fish"));
}

function control(place, { root, name, version, architecture, withNode }) {
  const depends = withNode ? "libc6 (>= 2.28), libstdc++6, libgcc-s1, adduser" : "nodejs (>= 20.11), adduser";
  const other = withNode ? "subflow" : "subflow-standalone";
  const fields = [
    `Package: ${name}`,
    `Version: ${version}`,
    `Architecture: ${architecture}`,
    `Maintainer: ${MAINTAINER}`,
    `Installed-Size: ${Math.ceil(place.bytes() / 1024)}`,
    `Depends: ${depends}`,
    "Recommends: iproute2",
    ...(withNode ? [`Provides: subflow (= ${version})`] : []),
    `Conflicts: ${other}`,
    `Replaces: ${other}`,
    "Section: net",
    "Priority: optional",
    `Description: path manager for Multipath TCP${withNode ? ", with a Node.js of its own" : ""}`,
    " Decides which paths a Multipath TCP connection has: opens subflows, announces",
    " addresses, brings back what was lost, and keeps endpoints, limits and source",
    " routing in step with the interfaces; by the path manager of the kernel, or as",
    " the userspace one. Speaks the language of ip-mptcp(8), explains why a subflow",
    " is missing, and makes programs use MPTCP that ask for TCP.",
    ...(withNode
      ? [" .", " This variant carries its own Node.js, for releases whose nodejs is older than", " version 20."]
      : []),
  ];
  const folder = join(place.folder, "DEBIAN");
  mkdirSync(folder);
  writeFileSync(join(folder, "control"), `${fields.join("\n")}\n`);
  writeFileSync(join(folder, "conffiles"), "/etc/subflow/subflow.yaml\n");
  const sums = place.files().map((path) => {
    const sum = createHash("md5")
      .update(readFileSync(join(place.folder, path)))
      .digest("hex");
    return `${sum}  ${path}\n`;
  });
  writeFileSync(join(folder, "md5sums"), sums.filter((line) => !line.includes("  etc/")).join(""));
  for (const script of SCRIPTS) {
    cpSync(join(root, "packaging/debian", script), join(folder, script));
    chmodSync(join(folder, script), 0o755);
  }
  chmodSync(folder, 0o755);
}
