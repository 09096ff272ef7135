// `npm run package -- [amd64|arm64 ...] [--with-node] [--version VERSION] [--out FOLDER]`: Debian packages in dist/packages. By default
// for every architecture, to run on the Node of the distribution; --with-node: the variant that carries one, for those whose own is
// older than 20. Needs dpkg-deb and npm. The same commit gives the same bytes.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { stage } from "./package/stage.mjs";
import { build, nodeModules, root, run } from "./setup.mjs";
import { tool } from "./words.mjs";

/** Names of Debian's and of Node's architectures. */
const ARCHITECTURES = { amd64: "x64", arm64: "arm64" };
const USAGE = "usage: npm run package -- [amd64|arm64 ...] [--with-node] [--version VERSION] [--out FOLDER]";

const { fail, read } = tool("package", USAGE);

const { values, positionals } = read({
  options: {
    "with-node": { type: "boolean", default: false },
    version: { type: "string" },
    // dist/ is as it should be: for tests, beside which others use it.
    built: { type: "boolean", default: false },
    // Compressed in seconds instead of minutes: for tests as well.
    fast: { type: "boolean", default: false },
    out: { type: "string", default: join(root, "dist", "packages") },
  },
  allowPositionals: true,
});
for (const name of positionals) {
  if (!ARCHITECTURES[name])
    fail(`"${name}" is no architecture; known: ${Object.keys(ARCHITECTURES).join(", ")}\n${USAGE}`);
}
if (values.version !== undefined && !/^\d[\w.+~-]*$/.test(values.version))
  fail(`"${values.version}" is no version of a Debian package`);
if (spawnSync("dpkg-deb", ["--version"]).status !== 0) fail("dpkg-deb is not installed (Debian: apt install dpkg)");

if (!values.built) {
  nodeModules();
  build();
}
const out = resolve(values.out);
mkdirSync(out, { recursive: true });
const time = spawnSync("git", ["log", "-1", "--format=%ct"], { cwd: root, encoding: "utf8" }).stdout?.trim();
const epoch = process.env.SOURCE_DATE_EPOCH ?? (time || "0");

for (const architecture of positionals.length > 0 ? positionals : Object.keys(ARCHITECTURES)) {
  const folder = mkdtempSync(join(tmpdir(), "subflow-deb-"));
  try {
    const staged = stage({
      root,
      folder,
      architecture,
      arch: ARCHITECTURES[architecture],
      withNode: values["with-node"],
      version: values.version,
      epoch: Number(epoch),
    });
    const file = join(out, `${staged.name}_${staged.version}_${architecture}.deb`);
    rmSync(file, { force: true });
    const env = { ...process.env, SOURCE_DATE_EPOCH: epoch };
    const compression = values.fast ? ["-Zgzip", "-z1"] : ["-Zxz"];
    const words = ["--root-owner-group", ...compression, "--build", folder, file];
    if (run("dpkg-deb", words, { env }) !== 0 || !existsSync(file)) fail(`${file} could not be built`);
    console.log(
      `${file} (${(statSync(file).size / 1e6).toFixed(1)} MB, installed ${(staged.bytes / 1e6).toFixed(1)} MB)`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
