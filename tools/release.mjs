// `npm run release -- --dry-run`: whether a release could be made, and what it would do. Without `--dry-run` it does it, on this machine
// only: nothing is pushed or published. docs/releasing.md says the whole.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { changedLines, planRelease, VERSION_FILES } from "./release/plan.mjs";
import { must, root, run } from "./setup.mjs";
import { tool } from "./words.mjs";

const { fail, read } = tool("release", "usage: npm run release -- [--dry-run] [--without-tests] [--out FOLDER]");

function git(...words) {
  const { status, stdout, stderr, error } = spawnSync("git", words, { cwd: root, encoding: "utf8" });
  if (status !== 0) fail(`git ${words.join(" ")}: ${error?.message ?? stderr.trim()}`);
  return stdout;
}

const { values } = read({
  options: {
    "dry-run": { type: "boolean", default: false },
    // They passed elsewhere, for this very commit.
    "without-tests": { type: "boolean", default: false },
    out: { type: "string", default: join(root, "dist", "release") },
  },
});
const names = ["CHANGELOG.md", ...Object.keys(VERSION_FILES)];
const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(root, name), "utf8")]));
const plan = planRelease({
  branch: git("branch", "--show-current").trim(),
  status: git("status", "--porcelain"),
  tags: git("tag", "--list", "v*").split("\n").filter(Boolean),
  today: new Date().toISOString().slice(0, 10),
  files,
  missing: ["npm", "dpkg-deb", "tar"].filter((program) => spawnSync(program, ["--version"]).error !== undefined),
});
const { version, tag, edits } = plan;
if (plan.faults.length > 0)
  fail(`not now:\n${plan.faults.map((fault) => `  ${fault}`).join("\n")}\nNothing was changed.`);

const shown = relative(process.cwd(), values.out) || ".";
const NODE = process.execPath;
/** What is run one after another: what it is for, and the command. */
const TESTS = [
  ["nothing that a commit needs is missing", NODE, ["tools/check.mjs"]],
  ["every test that this machine can run", NODE, ["tools/test.mjs"]],
];
const PACKAGES = [
  ["the npm package", "npm", ["pack", "--silent", "--pack-destination", values.out]],
  ["Debian packages", NODE, ["tools/package.mjs", "--out", values.out]],
  ["Debian packages with a Node", NODE, ["tools/package.mjs", "--with-node", "--out", values.out]],
];

if (values["dry-run"]) {
  console.log(`Subflow ${version} could be released: main is clean, ${tag} is free, CHANGELOG.md has its notes.\n`);
  if (plan.isPrepared) console.log("Its commit is there already; what follows it is not done yet.\n");
  for (const [name, text] of Object.entries(edits))
    console.log([name, ...changedLines(files[name], text).map((line) => `  ${line}`), ""].join("\n"));
  const steps = [
    ...(values["without-tests"] ? [] : TESTS),
    ...(plan.isPrepared ? [] : [["", "git", ["commit", "--all", "--message", `"Release ${version}"`]]]),
    ...PACKAGES,
    ["the site", NODE, ["tools/docs.mjs", `${shown}/subflow-${version}-docs`]],
    ["", "git", ["tag", "--annotate", tag, "(the section of CHANGELOG.md as its message)"]],
  ];
  for (const [what, command, words] of steps) {
    const line = [command === NODE ? "node" : command, ...words.map((word) => (word === values.out ? shown : word))];
    console.log(`$ ${line.join(" ")}${what === "" ? "" : `   # ${what}`}`);
  }
  console.log("\nNothing was changed.");
  process.exit(0);
}

if (!values["without-tests"]) for (const [what, command, words] of TESTS) must(what, command, words, { show: true });
for (const [name, text] of Object.entries(edits)) writeFileSync(join(root, name), text);
if (!plan.isPrepared) git("commit", "--quiet", "--all", "--message", `Release ${version}`);

const again = "mend it, then the same command goes on from here: the commit is there, the tag is not";
rmSync(values.out, { recursive: true, force: true });
mkdirSync(values.out, { recursive: true });
for (const [what, command, words] of PACKAGES)
  if (run(command, words) !== 0) fail(`${what} could not be made; ${again}`);
site();
writeFileSync(join(values.out, "NOTES.md"), `${plan.notes}\n`);
writeFileSync(join(values.out, "SHA256SUMS"), sums());
git("tag", "--annotate", tag, "--cleanup=verbatim", "--message", `Subflow ${version}`, "--message", plan.notes);
console.log(`Subflow ${version} is tagged ${tag}, and ${shown} has:`);
console.log(readFileSync(join(values.out, "SHA256SUMS"), "utf8").replace(/^.{64} {2}/gm, "  "));
console.log(`Nothing has left this machine. When you have looked at it:
  git push origin main ${tag}
  npm publish ${shown}/subflow-${version}.tgz
To take it back before that: git tag --delete ${tag}; git reset --hard HEAD~`);

/** The site as one file, the same bytes for the same commit. */
function site() {
  const folder = join(values.out, `subflow-${version}-docs`);
  if (run(NODE, ["tools/docs.mjs", folder]) !== 0) fail(`the site could not be made; ${again}`);
  const time = git("log", "-1", "--format=%ct").trim();
  const words = ["--sort=name", `--mtime=@${time}`, "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"];
  const packed = run("tar", [...words, "-C", values.out, "-czf", `${folder}.tar.gz`, `subflow-${version}-docs`]);
  rmSync(folder, { recursive: true, force: true });
  if (packed !== 0) fail(`the site could not be packed; ${again}`);
}

function sums() {
  return readdirSync(values.out)
    .sort()
    .map((name) => {
      const sum = createHash("sha256")
        .update(readFileSync(join(values.out, name)))
        .digest("hex");
      return `${sum}  ${name}\n`;
    })
    .join("");
}
