import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";

const root = join(import.meta.dirname, "..", "..", "..");

interface Facts {
  readonly branch: string;
  readonly status: string;
  readonly tags: readonly string[];
  readonly today: string;
  readonly files: Readonly<Record<string, string>>;
  readonly missing: readonly string[];
}
interface Plan {
  readonly version: string;
  readonly notes: string;
  readonly faults: readonly string[];
  readonly edits: Readonly<Record<string, string>>;
  readonly isPrepared: boolean;
}
const { planRelease, compareVersions } = (await import(join(root, "tools", "release", "plan.mjs"))) as {
  planRelease(facts: Facts): Plan;
  compareVersions(one: string, other: string): number;
};

const NAMES = ["CHANGELOG.md", "package.json", "package-lock.json", "src/cli/version.ts"];
/** The real files, so that a pattern that no longer finds its place is seen here. */
const FILES = Object.fromEntries(NAMES.map((name) => [name, readFileSync(join(root, name), "utf8")]));
const CHANGELOG = "# Changelog\n\n## 9.8.7 (unreleased)\n\n- New.\n\n## 0.1.0 (2026-01-02)\n\n- Old.\n";

function plan(changelog: string, facts: Partial<Facts> = {}): Plan {
  const files = { ...FILES, "CHANGELOG.md": changelog };
  return planRelease({ branch: "main", status: "", tags: [], today: "2026-03-04", files, missing: [], ...facts });
}

describe("a release", () => {
  test("writes the day and the version, in each place and nowhere else", () => {
    const { version, notes, faults, edits } = plan(CHANGELOG, { tags: ["v0.1.0", "vendor"] });
    assert.deepEqual([version, notes, faults], ["9.8.7", "- New.", []]);
    assert.equal(edits["CHANGELOG.md"], CHANGELOG.replace("(unreleased)", "(2026-03-04)"));
    assert.match(edits["src/cli/version.ts"]!, /VERSION = "9\.8\.7"/);
    const before = JSON.parse(FILES["package.json"]!) as object;
    assert.deepEqual(JSON.parse(edits["package.json"]!), { ...before, version: "9.8.7" });
    const lock = JSON.parse(FILES["package-lock.json"]!) as { packages: Record<string, object> };
    const packages = { ...lock.packages, "": { ...lock.packages[""], version: "9.8.7" } };
    assert.deepEqual(JSON.parse(edits["package-lock.json"]!), { ...lock, version: "9.8.7", packages });
  });

  test("goes on where its commit is there and its tag is not", () => {
    const dated = CHANGELOG.replace("unreleased", "2026-03-03");
    const { faults, isPrepared, edits } = plan(dated, { tags: ["v0.1.0"] });
    assert.deepEqual([faults, isPrepared, edits], [[], true, {}]);
    assert.match(plan(dated, { tags: ["v9.8.7"] }).faults.join(), /nothing is unreleased/);
  });

  test("names everything that forbids it at once", () => {
    const bad = "# Changelog\n\n## 0.1 (unreleased)\n\n## 0.0.9\n\n- Old.\n";
    const { faults, edits } = plan(bad, { branch: "", status: " M a\n?? b\n", missing: ["dpkg-deb"] });
    assert.deepEqual(faults, [
      'CHANGELOG.md: "0.1" is no version such as 0.2.0',
      "CHANGELOG.md: section 0.1 says nothing",
      'CHANGELOG.md: "## 0.0.9" is not "## VERSION (YYYY-MM-DD)"',
      "the branch is none; releases are made on main: git switch main",
      "not committed: M a, ?? b",
      "missing programs: dpkg-deb",
    ]);
    assert.deepEqual(edits, {});
    assert.match(plan("# Changelog\n").faults.join(), /has no section/);
    const files = { ...FILES, "CHANGELOG.md": CHANGELOG, "src/cli/version.ts": "" };
    assert.deepEqual(plan(CHANGELOG, { files }).faults, ["src/cli/version.ts: the version is not found in it"]);
  });

  test("is above every tag, by number and not by letter", () => {
    const higher = (tag: string) => plan(CHANGELOG.replace("9.8.7", "0.10.0"), { tags: [tag] }).faults.join();
    assert.equal(higher("v0.9.9"), "");
    assert.match(higher("v0.10.0"), /0\.10\.0 is not above 0\.10\.0/);
    assert.match(higher("v1.0.0"), /0\.10\.0 is not above 1\.0\.0/);
    assert.deepEqual([compareVersions("0.2.0", "0.10.0"), compareVersions("1.2.3", "1.2.3")], [-1, 0]);
  });
});

/** A repository of its own with all that is in this one, committed on main. */
function repository(folder: string): (...words: string[]) => string {
  const names = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
  for (const name of names.toString().split("\0").filter(Boolean)) {
    if (!existsSync(join(root, name))) continue;
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    cpSync(join(root, name), join(folder, name));
  }
  writeFileSync(join(folder, ".gitignore"), "node_modules\ndist/\n");
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  const who = ["-c", "user.name=Test", "-c", "user.email=test@subflow.example", "-c", "commit.gpgSign=false"];
  const git = (...words: string[]) => execFileSync("git", [...who, ...words], { cwd: folder, encoding: "utf8" });
  git("init", "--quiet", "--initial-branch=main", ".");
  git("add", "--all");
  git("commit", "--quiet", "--message", "All");
  return git;
}

test("npm run release -- --dry-run changes nothing, and says what would be done or why not", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "subflow-release-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const git = repository(folder);
  const dry = (...words: string[]) =>
    spawnSync("npm", ["run", "--silent", "release", "--", "--dry-run", ...words], { cwd: folder, encoding: "utf8" });
  const state = () => [
    git("status", "--porcelain"),
    git("log", "--format=%H"),
    git("tag"),
    existsSync(join(folder, "dist")),
  ];
  const before = state();
  // Where something is missing here (dpkg-deb), that is said instead.
  const missing = spawnSync("dpkg-deb", ["--version"]).error !== undefined;
  const first = dry();
  assert.equal(first.status, missing ? 1 : 0, first.stderr);
  if (missing) assert.match(first.stderr, /missing programs: dpkg-deb/);
  else
    assert.match(
      first.stdout,
      /could be released[\s\S]*\n {2}\+ ## .*\(\d{4}-\d\d-\d\d\)[\s\S]*\$ git tag --annotate v/,
    );
  assert.deepEqual(state(), before);

  writeFileSync(join(folder, "forgotten"), "");
  const dirty = dry();
  assert.equal(dirty.status, 1);
  assert.match(dirty.stderr, /not committed: \?\? forgotten\b[\s\S]*Nothing was changed/);
  rmSync(join(folder, "forgotten"));
  const wrong = dry("--sure");
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /'--sure'[\s\S]*usage: npm run release/);
  assert.deepEqual(state(), before);
});
