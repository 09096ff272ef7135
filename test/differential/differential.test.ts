import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { kernelTest } from "../kernel/support.ts";
import type { Manager } from "./commands.ts";
import { difference } from "./observe.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/index.ts";
import { type Record, Stand } from "./stand.ts";

/** Who has which side, besides the in-kernel path manager having both. */
const COLUMNS: readonly { readonly client: Manager; readonly server: Manager }[] = [
  { client: "ours", server: "ours" },
  { client: "ours", server: "kernel" },
  { client: "kernel", server: "ours" },
];
/** A scenario's name or a part of it: only those are played. */
const ONLY = process.env.SCENARIO ?? "";
/**
 * A scenario fails when every play of it differs, the kernel's included. One alone may be chance on a busy machine: the
 * ADD_ADDR timer sent once more before the echo came, the kernel's worker had not yet let go of a port, or a flush during a
 * transfer left the in-kernel path manager with a connection on which nothing moves any more.
 */
const PLAYS = 5;

type Column = (typeof COLUMNS)[number];

test("each difference is explained in docs/differences.md, once and for a scenario", () => {
  const text = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "differences.md"), "utf8");
  const [asserted = ""] = text.split("\n# ").filter((part) => part.includes("## "));
  const explained = [...asserted.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  const used = SCENARIOS.flatMap(({ differs }) => (differs ? [differs.because] : []));
  assert.deepEqual(explained.sort(), [...new Set(used)].sort());
});

test("scenarios have names of their own", () => {
  const names = SCENARIOS.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
});

kernelTest("our path manager does what the in-kernel one does", async (context) => {
  await using kernel = await Stand.create({ client: "kernel", server: "kernel" });
  await using both = await Stand.create(COLUMNS[0]!);
  await using client = await Stand.create(COLUMNS[1]!);
  await using server = await Stand.create(COLUMNS[2]!);
  const stands = [both, client, server];
  const compare = async (scenario: Scenario): Promise<string> => {
    const theirs = await kernel.play(scenario);
    const failures = await Promise.all(
      COLUMNS.map(async (column, index) => {
        const known = theirs.map((_, moment) => [...differencesOf(scenario, column, moment)].sort());
        const wanted = theirs.map((lines, moment) => withDifferences(lines, known[moment] ?? []));
        const mine = await stands[index]!.play(scenario, wanted).catch(String);
        if (typeof mine === "string") return `\nclient ${column.client}, server ${column.server}: ${mine}\n`;
        const found = theirs.map((lines, moment) => difference(lines, mine[moment] ?? []));
        return describe(column, theirs, found, known);
      }),
    );
    return failures.join("");
  };
  for (const scenario of SCENARIOS.filter(({ name }) => name.includes(ONLY))) {
    await context.test(scenario.name, async (played) => {
      let failures = "";
      for (let play = 1; play <= PLAYS; play++) {
        failures = await compare(scenario).catch(String);
        if (failures === "") return;
        played.diagnostic(`play ${play} of ${PLAYS} differs:${failures}`);
      }
      assert.fail(failures);
    });
  }
});

function differencesOf({ differs }: Scenario, { client, server }: Column, moment: number): readonly string[] {
  if (!differs) return [];
  const isClient = client === "ours";
  const isServer = server === "ours";
  const shows = { client: isClient, server: isServer, both: isClient && isServer }[differs.where];
  return shows ? (differs.at[moment] ?? []) : [];
}

/** The kernel's lines as they should be with ours. */
function withDifferences(lines: readonly string[], differences: readonly string[]): string[] {
  const marked = (mark: string): string[] =>
    differences.filter((line) => line.startsWith(mark)).map((line) => line.slice(2));
  const gone = marked("-");
  return [...lines.filter((line) => !gone.includes(line)), ...marked("+")];
}

/** "" when the differences are those that are known. */
function describe(column: Column, kernel: Record, found: readonly string[][], known: readonly string[][]): string {
  const wrong = found.flatMap((lines, moment) => {
    const [here, expected] = [lines.join("\n    "), (known[moment] ?? []).join("\n    ")];
    if (here === expected) return [];
    const words = [`  after step ${moment}: found\n    ${here || "no difference"}`];
    if (expected !== "") words.push(`  but known is\n    ${expected}`);
    return [...words, `  where the kernel has\n    ${(kernel[moment] ?? []).join("\n    ")}`];
  });
  return wrong.length === 0 ? "" : `\nclient ${column.client}, server ${column.server}:\n${wrong.join("\n")}\n`;
}
