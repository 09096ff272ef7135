import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const files = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((file) => file !== "" && existsSync(join(root, file)));
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const sources = files.filter((file) => /^(src|bench|test|native|tools|examples)\/.*\.(tsx?|mjs|c|h)$/.test(file));
const roomFiles = files.filter((file) => /^src\/.*\.tsx?$/.test(file));
const roomOf = (file: string): string => file.split("/")[1] ?? "";
const isTest = (file: string): boolean => file.endsWith(".test.ts");

/** Rooms by floor, as in ARCHITECTURE.md. */
const FLOORS: Record<string, number> = {
  types: 0,
  page: 0,
  wire: 1,
  engine: 1,
  policies: 2,
  host: 2,
  netlink: 2,
  doctor: 3,
  config: 3,
  "host-facts": 3,
  sim: 3,
  recording: 3,
  testing: 4,
  lab: 3,
  control: 3,
  plugin: 3,
  programs: 3,
  client: 4,
  daemon: 4,
  cli: 5,
};
const LINES_MAX = 500;

/** Every offence of a rule, as "file:line: text". */
function offences(list: readonly string[], pattern: RegExp): string[] {
  return list.flatMap((file) =>
    read(file)
      .split("\n")
      .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
  );
}

describe("rooms", () => {
  test("each folder of src is a known room, and each room has a door", () => {
    for (const room of new Set(roomFiles.map(roomOf))) assert.ok(room in FLOORS, `src/${room} has no floor`);
    for (const room of Object.keys(FLOORS)) assert.ok(existsSync(join(root, "src", room, "index.ts")), room);
  });

  /** What a file of src imports from other rooms, as paths from the root. */
  function foreignImports(file: string): string[] {
    return [...read(file).matchAll(/(?:from |import\()"(\.[^"]+)"/g)]
      .map(([, path]) => join(dirname(file), path!))
      .filter((path) => path.startsWith("src/") && roomOf(path) !== roomOf(file));
  }

  test("imports go strictly downwards", () => {
    for (const file of roomFiles.filter((name) => !isTest(name))) {
      for (const path of foreignImports(file)) {
        assert.ok(FLOORS[roomOf(path)]! < FLOORS[roomOf(file)]!, `${file} imports ${path}, which is no floor below`);
      }
    }
  });

  test("other rooms are imported by their door", () => {
    const isDoor = (path: string): boolean => /^src\/[^/]+\/index\.ts$/.test(path);
    const found = roomFiles.flatMap((file) => foreignImports(file).map((path) => [file, path] as const));
    assert.ok(found.length > 100);
    assert.deepEqual(
      found.filter(([, path]) => !isDoor(path)),
      [],
    );
  });
});

describe("files", () => {
  test("daemon/ is wiring: below 20 files of its own, the rest in folders by what they are for", () => {
    const own = roomFiles.filter((file) => /^src\/daemon\/[^/]+$/.test(file) && !isTest(file));
    assert.ok(own.length > 0 && own.length < 20, own.join("\n"));
  });

  test(`no source file is longer than ${LINES_MAX} lines`, () => {
    const long = sources.map((file) => [file, read(file).split("\n").length] as const);
    assert.deepEqual(
      long.filter(([, lines]) => lines > LINES_MAX),
      [],
    );
  });

  test("nothing is left open, and nothing runs alone", () => {
    // Built from pieces, so that this file does not accuse itself.
    const open = new RegExp(["TO" + "DO", "FIX" + "ME", "X" + "XX\\b", "\\.only\\(", "describe\\.skip"].join("|"));
    assert.deepEqual(offences(sources, open), []);
  });

  test("no path of somebody's machine stands in the project", () => {
    const own = new RegExp(["/wo" + "rk/", "/ho" + "me/[a-z]", "/fa" + "rm/"].join("|"));
    const text = files.filter(
      (file) => /\.(ts|mjs|c|h|md|json|yaml)$|^bin\//.test(file) && file !== "package-lock.json",
    );
    assert.deepEqual(offences(text, own), []);
  });
});

describe("documents", () => {
  test("every file of src that ARCHITECTURE.md names is there", () => {
    const named = [...read("ARCHITECTURE.md").matchAll(/`([a-z-]+\/[a-z/-]+\.(?:ts|c))`/g)].map(([, name]) => name!);
    assert.ok(named.length > 20);
    assert.deepEqual(
      named.filter((name) => ![`src/${name}`, name].some((path) => existsSync(join(root, path)))),
      [],
    );
  });

  test("every link to a file of the project resolves", () => {
    const broken: string[] = [];
    for (const file of files.filter((name) => name.endsWith(".md"))) {
      for (const [, target] of read(file).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)) {
        if (target !== undefined && !existsSync(join(root, dirname(file), target))) broken.push(`${file} -> ${target}`);
      }
    }
    assert.deepEqual(broken, []);
  });

  test("docs/errors.md lists every error code, and no other", () => {
    const used = new Set<string>();
    for (const file of roomFiles.filter((name) => !isTest(name))) {
      for (const [, code] of read(file).matchAll(/code: "([A-Z][A-Z_]+)"/g)) if (code) used.add(code);
    }
    const listed = new Set([...read("docs/errors.md").matchAll(/^\| `([A-Z_]+)`/gm)].map((match) => match[1]!));
    assert.deepEqual([...listed].sort(), [...used].sort());
  });

  test("CHANGELOG.md names the version of package.json", () => {
    const { version } = JSON.parse(read("package.json")) as { version: string };
    assert.ok(read("CHANGELOG.md").includes(`## ${version}`));
  });
});
