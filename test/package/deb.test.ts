import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

const root = join(import.meta.dirname, "..", "..", "..");
const SYSTEMD = join(root, "packaging", "systemd");
const UNITS = ["subflow.service", "subflow@.service"];
/** What `systemd-analyze security` may count at most, exclusive. */
const EXPOSURE_MAX = 1.5;

const has = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined;

test("the Debian package: same bytes twice, every file with its mode, and the command in it runs", (context) => {
  if (!has("dpkg-deb")) return context.skip("dpkg-deb is not installed");
  const out = mkdtempSync(join(tmpdir(), "subflow-deb-"));
  context.after(() => rmSync(out, { recursive: true }));
  const build = (): Buffer => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(root, "tools", "package.mjs"), "--built", "--out", out],
      {
        encoding: "utf8",
      },
    );
    assert.equal(status, 0, stderr);
    const [file] = readdirSync(out).filter((name) => name.endsWith("_amd64.deb"));
    return readFileSync(join(out, file!));
  };
  assert.ok(build().equals(build()), "the same sources give the same bytes");
  for (const [architecture, arch] of [
    ["amd64", "x64"],
    ["arm64", "arm64"],
  ] as const) {
    const deb = join(out, readdirSync(out).find((name) => name.endsWith(`_${architecture}.deb`))!);
    const field = (name: string): string => execFileSync("dpkg-deb", ["-f", deb, name], { encoding: "utf8" }).trim();
    assert.deepEqual([field("Architecture"), field("Package")], [architecture, "subflow"]);
    assert.match(field("Depends"), /^nodejs \(>= 20\.11\)/);
    const there = join(out, architecture);
    execFileSync("dpkg-deb", ["-x", deb, there]);
    const home = join(there, "usr", "lib", "subflow");
    assert.deepEqual(readdirSync(join(home, "prebuilds")), [`linux-${arch}`]);
    assert.match(readFileSync(join(home, "bin", "subflow"), "latin1"), /^#!\/usr\/bin\/node\n/);
    for (const file of readdirSync(there, { recursive: true, encoding: "utf8" })) {
      const { mode } = lstatSync(join(there, file));
      if (!lstatSync(join(there, file)).isSymbolicLink())
        assert.equal(mode & 0o022, 0, `${file} can be written by others`);
    }
    for (const unit of UNITS) assert.ok(existsSync(join(there, "usr", "lib", "systemd", "system", unit)));
    if (arch !== process.arch) continue;
    const run = (...words: string[]) =>
      spawnSync(process.execPath, [join(there, "usr", "bin", "subflow"), ...words], { encoding: "utf8", cwd: "/" });
    assert.match(run("--version").stdout, /^subflow \d/);
    const checked = run("config", "check", "--config", join(there, "etc", "subflow", "subflow.yaml"));
    assert.equal(checked.status, 0, checked.stderr);
    assert.match(
      run("exec", "sh", "-c", "echo $LD_PRELOAD").stdout,
      /usr\/lib\/subflow\/prebuilds\/.*\/mptcp-socket\.so$/m,
    );
  }
});

test("npm run package refuses what it does not know", () => {
  for (const [words, says] of [
    [["riscv64"], /"riscv64" is no architecture; known: amd64, arm64/],
    [["--quick"], /--quick/],
    [["--version", "new"], /"new" is no version/],
  ] as const) {
    const { status, stderr } = spawnSync(process.execPath, [join(root, "tools", "package.mjs"), ...words], {
      encoding: "utf8",
    });
    assert.equal(status, 1);
    assert.match(stderr, says);
  }
});

test("lintian has nothing to say about it", (context) => {
  if (!has("lintian") || !has("dpkg-deb")) return context.skip("lintian is not installed");
  const out = mkdtempSync(join(tmpdir(), "subflow-deb-"));
  context.after(() => rmSync(out, { recursive: true }));
  execFileSync(process.execPath, [join(root, "tools", "package.mjs"), "amd64", "--built", "--out", out], {
    stdio: "ignore",
  });
  const debs = readdirSync(out).map((name) => join(out, name));
  const { stdout } = spawnSync("lintian", ["--profile", "debian", "--allow-root", ...debs], { encoding: "utf8" });
  assert.equal(stdout, "");
});

describe("units", () => {
  const settings = (unit: string): string[] =>
    readFileSync(join(SYSTEMD, unit), "utf8")
      .split("\n")
      .filter((line) => /^[A-Z]\w+=/.test(line));

  test("that of a namespace differs in what names the namespace only", () => {
    const [host, instance] = UNITS.map((unit) => settings(unit));
    const isAboutNamespace = (line: string): boolean =>
      /%i|^EnvironmentFile=|^Description=|^StateDirectory=/.test(line);
    assert.deepEqual(
      instance!.filter((line) => !isAboutNamespace(line)),
      host!.filter((line) => !isAboutNamespace(line)),
    );
    assert.ok(instance!.includes("NetworkNamespacePath=/run/netns/%i"));
  });

  for (const unit of UNITS) {
    test(`${unit} is exposed by less than ${EXPOSURE_MAX}`, (context) => {
      const words = ["security", "--offline=true", "--no-pager", join(SYSTEMD, unit)];
      const { status, stdout, error } = spawnSync("systemd-analyze", words, { encoding: "utf8" });
      if (error || status !== 0) return context.skip("no systemd-analyze that looks at files (systemd 250)");
      const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1]);
      assert.ok(exposure < EXPOSURE_MAX, stdout);
    });
  }
});
