import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { describe, test } from "node:test";
import { dispatches, importsOf, impurities, Room } from "./program.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const PURE = ["types", "wire", "engine", "policies", "host", "doctor", "sim", "recording", "testing"];
const own = (places: readonly string[]): string[] => places.map((place) => place.replace(`${root}/`, ""));

/** A room that is made up, of a file for each text, to see that the rules see. @returns what was found in each */
function madeUp(texts: readonly string[], look: (room: Room) => readonly string[]): readonly (readonly string[])[] {
  const folder = mkdtempSync(join(tmpdir(), "subflow-tidy-"));
  try {
    for (const [nth, text] of texts.entries()) writeFileSync(join(folder, `file${nth}.ts`), text);
    const compilerOptions = { target: "ES2023", lib: ["ES2023", "DOM"], module: "NodeNext", strict: true, types: [] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
    using room = new Room(join(folder, "tsconfig.json"));
    const found = look(room);
    return texts.map((_, nth) => found.filter((place) => place.includes(`/file${nth}.ts:`)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the engine has one switch over events", () => {
  test("it has", () => {
    using room = new Room(join(root, "src", "engine", "tsconfig.json"));
    const found = own(dispatches(room, "EngineEvent"));
    assert.equal(found.length, 1, found.join("\n"));
    assert.match(found[0]!, /^src\/engine\/engine\.ts:/);
  });

  test("another one would be seen, however it is written", () => {
    // A module each: what they declare is their own.
    const types = `export type EngineEvent = { type: "a" } | { type: "b" };\n`;
    const cases = [
      ["export function f(e: EngineEvent) { switch (e.type) { case 'a': return 1; default: return 2; } }", 1],
      ["export function f({ what }: { what: EngineEvent }) { switch (what.type) { default: return 2; } }", 1],
      ["const T = { a: 1, b: 2 }; export const f = (x: EngineEvent) => T[x.type];", 1],
      ["export function f(e: { type: 'a' | 'z' }) { switch (e.type) { default: return 2; } }", 0],
    ] as const;
    const texts = cases.map(([text]) => types + text);
    const found = madeUp(texts, (room) => dispatches(room, "EngineEvent"));
    for (const [nth, [text, count]] of cases.entries()) assert.equal(found[nth]?.length, count, text);
  });
});

describe("pure rooms know no clock, no chance, no promise", () => {
  for (const name of PURE) {
    test(name, () => {
      using room = new Room(join(root, "src", name, "tsconfig.json"));
      assert.ok(room.files.length > 0);
      assert.deepEqual(own(impurities(room)), []);
    });
  }

  test("each would be seen, and what only looks like one is none", () => {
    const cases = [
      ["export const f = () => Date.now();", 1],
      ["const D = Date; export const f = () => new D();", 1],
      ["export const f = () => Math.random();", 1],
      ["const { random } = Math; export const f = () => random();", 1],
      ["export const f = (name: 'random') => Math[name]();", 1],
      ["export const f = () => globalThis['Date'].now();", 1],
      ["export const f = () => performance.now();", 1],
      ["export async function f() {}", 1],
      ["export const f = () => Promise.resolve();", 1],
      ["export const f = (call: () => void) => setTimeout(call, 1);", 1],
      ["export const f = (Date: number) => Date + 1;", 0],
      ["export const f = (random: () => number) => Math.floor(random());", 0],
      ["/** Date of Promise, Math.random() */ export const f = 'await performance.now()';", 0],
    ] as const;
    const texts = cases.map(([text]) => text);
    const found = madeUp(texts, impurities);
    for (const [nth, [text, count]] of cases.entries())
      assert.equal((found[nth]?.length ?? 0) > 0, count > 0, `${text}: ${found[nth]?.join(", ")}`);
  });
});

describe("the daemon has one clock", () => {
  /** Where a clock is made that everything else is given, or asked for what no decision hangs on. */
  const CLOCKS = [
    ...["src/daemon/daemon.ts", "src/daemon/dry-run.ts", "src/daemon/foresight.ts", "src/daemon/run.ts"],
    // The time of day, which no other clock tells.
    "src/daemon/rules/rule-clock.ts",
    "src/daemon/quota/quotas.ts",
    // A thread of its own, which has nothing of the daemon's.
    "src/daemon/history/thread.ts",
  ];
  test("and it is read where it is made", () => {
    using room = new Room(join(root, "src", "daemon", "tsconfig.json"));
    const clocks = own(impurities(room)).filter((place) => /: (Date|performance)$/.test(place));
    assert.ok(clocks.length > 0);
    assert.deepEqual(
      clocks.filter((place) => !CLOCKS.some((file) => place.startsWith(`${file}:`))),
      [],
    );
  });
});

const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root })
  .toString()
  .split("\n")
  .filter((file) => existsSync(join(root, file)));
const read = (file: string): string => readFileSync(join(root, file), "utf8");

/** File → the files of ours that it imports. */
const imports = new Map<string, string[]>();
const configs = files.filter((file) => /^(src\/[^/]+\/tsconfig|tsconfig\.test)\.json$/.test(file));
for (const config of configs) {
  using room = new Room(join(root, config));
  for (const file of room.files) {
    const from = relative(root, file);
    if (imports.has(from)) continue;
    const targets = importsOf(room, file).map((text) => relative(root, join(dirname(file), text)));
    imports.set(
      from,
      targets.map((target) => {
        const source = target.replace(/\.jsx?$/, ".ts");
        return existsSync(join(root, source)) ? source : source.replace(/\.ts$/, ".tsx");
      }),
    );
  }
}

/** Groups of files that import each other in a circle, types included: none can be understood without the others. */
function circlesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const circles: string[][] = [];
  const visited = new Map<string, { readonly order: number; low: number; isOpen: boolean }>();
  const open: string[] = [];
  // Tarjan: a file from which nothing opened before it can be reached closes what was opened since.
  const visit = (file: string): { low: number; isOpen: boolean } => {
    const own = { order: visited.size, low: visited.size, isOpen: true };
    visited.set(file, own);
    open.push(file);
    for (const target of graph.get(file) ?? []) {
      const other = visited.get(target) ?? visit(target);
      if (other.isOpen) own.low = Math.min(own.low, other.low);
    }
    if (own.low < own.order) return own;
    const circle = open.splice(open.indexOf(file));
    for (const each of circle) visited.get(each)!.isOpen = false;
    if (circle.length > 1 || graph.get(file)?.includes(file)) circles.push(circle.sort());
    return own;
  };
  for (const file of graph.keys()) if (!visited.has(file)) visit(file);
  return circles;
}

describe("no files import each other in a circle", () => {
  test("inside any room, and across", () => {
    assert.deepEqual(circlesOf(new Map([...imports].filter(([file]) => file.startsWith("src/")))), []);
  });

  test("one would be seen", () => {
    const graph = (text: string): Map<string, string[]> =>
      new Map(text.split(" ").map((each): [string, string[]] => [each[0]!, [...each.slice(2)]]));
    assert.deepEqual(circlesOf(graph("a>bc b>c c> d>a")), []);
    assert.deepEqual(circlesOf(graph("a>b b>a")), [["a", "b"]]);
    assert.deepEqual(circlesOf(graph("a>a")), [["a"]]);
    assert.deepEqual(circlesOf(graph("a>bd b>c c>a d>e e> f>g g>f")), [
      ["a", "b", "c"],
      ["f", "g"],
    ]);
  });
});

describe("no file is dead", () => {
  function reachable(entries: readonly string[]): Set<string> {
    const seen = new Set<string>();
    const left = [...entries];
    for (let file = left.pop(); file !== undefined; file = left.pop()) {
      if (seen.has(file)) continue;
      seen.add(file);
      left.push(...(imports.get(file) ?? []));
    }
    return seen;
  }

  test("every source file is part of what is built", () => {
    const sources = files.filter((file) => /^(src|test|bench|examples)\/.*\.ts$/.test(file));
    assert.deepEqual(
      sources.filter((file) => !imports.has(file)),
      [],
    );
  });

  /** Bundled by themselves: they import modules of somebody else's, or run in a browser. */
  const PROCESSES = ["src/plugin/main.ts", "src/cli/policy/tester.ts", "src/page/main.tsx"];
  test("every file of src is used by the command or by a door that the package opens", () => {
    const { exports } = JSON.parse(read("package.json")) as { exports: Record<string, { types?: string }> };
    const doors = Object.keys(exports).flatMap((name) =>
      name.endsWith(".json") ? [] : [`src/${name.slice(2)}/index.ts`],
    );
    const used = reachable([...["src/cli/entry.ts", "src/cli/index.ts"], ...PROCESSES, ...doors]);
    const product = [...imports.keys()].filter((file) => file.startsWith("src/") && !file.endsWith(".test.ts"));
    assert.deepEqual(
      product.filter((file) => !used.has(file)),
      [],
    );
  });

  test("every other file is a test, a program of its own, or used by one", () => {
    const tests = [...imports.keys()]
      .filter((file) => file.startsWith("test/"))
      .map((file) => [file, read(file)] as const);
    // Started as a process of its own: by its name, as it is when it is compiled.
    const isChild = (file: string): boolean =>
      file.endsWith("-child.ts") &&
      tests.some(([other, text]) => other !== file && text.includes(`"${basename(file, ".ts")}.js"`));
    const isEntry = (file: string): boolean =>
      file.endsWith(".test.ts") ||
      isChild(file) ||
      /^bench\/[^_/][^/]*\.ts$|^examples\//.test(file) ||
      /^test\/(sim|fuzz)\/run\.ts$/.test(file);
    const used = reachable([...imports.keys()].filter(isEntry));
    assert.deepEqual(
      [...imports.keys()].filter((file) => !used.has(file) && !file.startsWith("src/")),
      [],
    );
  });

  test("every tool and every C file is named by something", () => {
    const text = files
      .filter((file) => /\.(json|mjs|cjs|ts|h|c|md)$|^\.ci\/|^bin\//.test(file) && file !== "package-lock.json")
      .map((file) => [file, read(file)] as const);
    const named = (file: string): boolean => {
      const name = file.split("/").at(-1)!.replace(/\.c$/, ""); // `${name}.c`
      return text.some(([other, content]) => other !== file && content.includes(name));
    };
    const alone = files.filter((file) => /^(tools|bench\/c|native|examples)\//.test(file) && !named(file));
    assert.deepEqual(alone, []);
  });
});
