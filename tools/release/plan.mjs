// What a release would change and do, from what there is: nothing is read or written here.

/** Files that name the version, with the pattern of each place where they do. */
export const VERSION_FILES = {
  "package.json": [/^( {2}"version": ")[^"]+(")/m],
  "package-lock.json": [/^( {2}"version": ")[^"]+(")/m, /^( {6}"version": ")[^"]+(")/m],
  "src/cli/version.ts": [/(VERSION = ")[^"]+(")/],
};

const HEADING = /^## (\S+) \(([^)]+)\)$/;
const NUMBER = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** -1, 0 or 1, as one version is lower than, equal to or higher than the other. */
export function compareVersions(one, other) {
  const [left, right] = [one, other].map((text) => text.split(".").map(Number));
  const at = left.findIndex((part, index) => part !== right[index]);
  return at < 0 ? 0 : Math.sign(left[at] - right[at]);
}

/** The sections of CHANGELOG.md, newest first: version, "unreleased" or a day, and the lines. */
export function sections(changelog) {
  const found = [];
  for (const line of changelog.split("\n")) {
    const [, version, when] = HEADING.exec(line) ?? [];
    if (version !== undefined) found.push({ version, when, lines: [] });
    else if (/^## /.test(line)) found.push({ version: line.slice(3), when: "", lines: [] });
    else found.at(-1)?.lines.push(line);
  }
  return found.map(({ lines, ...rest }) => ({ ...rest, notes: lines.join("\n").trim() }));
}

function changelogFaults([first, ...older], isPrepared) {
  if (first === undefined) return ['CHANGELOG.md has no section; begin one: "## 0.2.0 (unreleased)"'];
  const faults = [];
  if (!NUMBER.test(first.version)) faults.push(`CHANGELOG.md: "${first.version}" is no version such as 0.2.0`);
  if (first.when !== "unreleased" && !isPrepared)
    faults.push(`CHANGELOG.md: nothing is unreleased; begin a section above ${first.version}: "## 0.2.0 (unreleased)"`);
  if (first.notes === "") faults.push(`CHANGELOG.md: section ${first.version} says nothing`);
  for (const { version, when } of older) {
    if (!NUMBER.test(version) || !DAY.test(when))
      faults.push(`CHANGELOG.md: "## ${version}${when ? ` (${when})` : ""}" is not "## VERSION (YYYY-MM-DD)"`);
  }
  return faults;
}

function versionFaults(first, { tags, files }) {
  const faults = [];
  const released = tags.map((tag) => tag.replace(/^v/, "")).filter((version) => NUMBER.test(version));
  const newest = released.sort(compareVersions).at(-1);
  if (newest !== undefined && NUMBER.test(first.version) && compareVersions(first.version, newest) <= 0)
    faults.push(`CHANGELOG.md: ${first.version} is not above ${newest}, which has a tag`);
  for (const [name, patterns] of Object.entries(VERSION_FILES)) {
    if (!patterns.every((pattern) => pattern.test(files[name]))) faults.push(`${name}: the version is not found in it`);
  }
  return faults;
}

/**
 * @param facts branch, status (of git, porcelain), tags, today (YYYY-MM-DD), files (texts by name), missing (programs)
 * @returns the version, notes, faults that forbid it, and the texts of the files that change. A release whose commit is there and whose
 * tag is not (its packages could not be built) is gone on with: `isPrepared`, and nothing changes.
 */
export function planRelease({ branch, status, tags, today, files, missing }) {
  const all = sections(files["CHANGELOG.md"]);
  const [first] = all;
  const isPrepared = first !== undefined && DAY.test(first.when) && !tags.includes(`v${first.version}`);
  const faults = changelogFaults(all, isPrepared);
  if (first !== undefined) faults.push(...versionFaults(first, { tags, files }));
  if (branch !== "main") faults.push(`the branch is ${branch || "none"}; releases are made on main: git switch main`);
  if (status.trim() !== "") {
    const names = status.trim().split("\n");
    const more = names.length > 5 ? ` and ${names.length - 5} more` : "";
    faults.push(
      `not committed: ${names
        .slice(0, 5)
        .map((line) => line.trim())
        .join(", ")}${more}`,
    );
  }
  if (missing.length > 0) faults.push(`missing programs: ${missing.join(", ")}`);
  const version = first?.version;
  const edits = {};
  if (faults.length === 0 && !isPrepared) {
    const heading = `## ${version} (${first.when})`;
    edits["CHANGELOG.md"] = files["CHANGELOG.md"].replace(heading, `## ${version} (${today})`);
    for (const [name, patterns] of Object.entries(VERSION_FILES)) {
      const text = patterns.reduce((old, pattern) => old.replace(pattern, `$1${version}$2`), files[name]);
      if (text !== files[name]) edits[name] = text;
    }
  }
  return { version, tag: `v${version}`, notes: first?.notes ?? "", faults, edits, isPrepared };
}

/** Lines that differ, as `- old` and `+ new`; the texts have the same number of lines. */
export function changedLines(before, after) {
  const [old, fresh] = [before.split("\n"), after.split("\n")];
  return old.flatMap((line, at) => (line === fresh[at] ? [] : [`- ${line}`, `+ ${fresh[at]}`]));
}
