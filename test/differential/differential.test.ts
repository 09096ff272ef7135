import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readCounters } from "../../src/netlink/index.ts";
import { kernelTest } from "../kernel/support.ts";
import type { Manager } from "./commands.ts";
import { difference, isCounter, withoutResends } from "./observe.ts";
import { FAULTS, isBefore, whyNoMeasure, withBackupAsked, withoutWords } from "./older.ts";
import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/index.ts";
import { type Record, Stand } from "./stand.ts";

const DIFFERENCES = join(import.meta.dirname, "..", "..", "..", "docs", "differences.md");

/** Who has which side, besides the in-kernel path manager having both. */
const COLUMNS: readonly { readonly client: Manager; readonly server: Manager }[] = [
  { client: "ours", server: "ours" },
  { client: "ours", server: "kernel" },
  { client: "kernel", server: "ours" },
];
/** A scenario's name or a part of it: only those are played. */
const ONLY = process.env.SCENARIO ?? "";
/**
 * The in-kernel path manager does not do the same every time: its ADD_ADDR timer sends once more before the echo comes, its worker has
 * not yet let go of a port, a flush during a transfer leaves a connection on which nothing moves any more. So what it does is a set
 * of outcomes. Ours is played once, and that play must be one of them: where it is not the first, the kernel plays again, so often.
 */
const KERNEL_PLAYS = 8;

type Column = (typeof COLUMNS)[number];

test("each difference is explained in docs/differences.md, once and for a scenario", () => {
  const text = readFileSync(DIFFERENCES, "utf8");
  const [asserted = ""] = text.split("\n# ").filter((part) => part.includes("## "));
  const explained = [...asserted.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  const used = SCENARIOS.flatMap(({ differs }) => (differs ? [differs.because] : []));
  assert.deepEqual(explained.sort(), [...new Set(used)].sort());
});

test("scenarios have names of their own", () => {
  const names = SCENARIOS.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
});

test("what older kernels do otherwise is explained in docs/differences.md, and said of scenarios that there are", () => {
  const text = readFileSync(DIFFERENCES, "utf8");
  const names = SCENARIOS.map(({ name }) => name);
  for (const { what, scenarios } of FAULTS) {
    assert.ok(text.includes(what), what);
    for (const name of scenarios) assert.ok(names.includes(name), name);
  }
});

test("an ADD_ADDR that was sent again because its echo was dropped counts once", () => {
  const lines = [
    "client AddAddr 3",
    "client EchoAddTx 2",
    "client EchoAddTxDrop 1",
    "client PortAdd 3",
    "server AddAddrTx 3",
    "server EchoAdd 2",
  ];
  const expected = [
    "client AddAddr 2",
    "client EchoAddTx 2",
    "client PortAdd 2",
    "server AddAddrTx 2",
    "server EchoAdd 2",
  ];
  assert.deepEqual(withoutResends(lines), expected);
});

/** So many sets of stands play side by side: most of a play is waiting for nothing more to happen. */
const TABLES = 3;

kernelTest(
  "our path manager does what the in-kernel one does",
  async (context) => {
    const scenarios = SCENARIOS.filter(({ name }) => name.includes(ONLY));
    const waiting = scenarios.values();
    const tables = Array.from({ length: Math.min(TABLES, scenarios.length) }, () => playAll(context, waiting));
    await Promise.all(tables);
  },
  { concurrency: TABLES },
);

/** Takes one scenario after another, until all tables together have played all of them. */
async function playAll(context: TestContext, scenarios: Iterable<Scenario>): Promise<void> {
  await using kernel = await Stand.create({ client: "kernel", server: "kernel" });
  await using both = await Stand.create(COLUMNS[0]!);
  await using client = await Stand.create(COLUMNS[1]!);
  await using server = await Stand.create(COLUMNS[2]!);
  const stands = [both, client, server];
  for (const scenario of scenarios) {
    await context.test(scenario.name, async (played) => {
      const noMeasure = whyNoMeasure(scenario);
      if (noMeasure !== undefined) {
        // That data arrive, and that nothing is refused or stalls, is seen all the same.
        await Promise.all(stands.map((stand) => stand.play(scenario)));
        return played.skip(noMeasure);
      }
      const first = await kernel.play(scenario).catch(String);
      const wanted = typeof first === "string" ? undefined : first;
      const mine = await Promise.all(
        COLUMNS.map((column, index) =>
          stands[index]!.play(scenario, wanted && expected(scenario, column, wanted)).catch(String),
        ),
      );
      let open = COLUMNS.map((column, index) => ({ column, mine: mine[index]! }));
      for (let play = 1; ; play++) {
        const theirs = play === 1 ? first : await kernel.play(scenario).catch(String);
        const failures = open.map((each) => ({ ...each, why: compare(scenario, each.column, theirs, each.mine) }));
        open = failures.filter(({ why }) => why !== "");
        if (open.length === 0) return;
        const text = failures.map(({ why }) => why).join("");
        if (play >= KERNEL_PLAYS) {
          const accounts = await Promise.all(stands.map((stand) => stand.account()));
          assert.fail(`in none of ${play} plays the kernel did the same:${text}\n${accounts.join("\n")}`);
        }
        played.diagnostic(`not what the kernel did in its play ${play}:${text}`);
      }
    });
  }
}

/** What a play left, or why it came to no end. */
type Outcome = Record | string;

function expected(scenario: Scenario, column: Column, theirs: Record): Record {
  return asHere(theirs, column).map((lines, moment) => withDifferences(lines, differencesOf(scenario, column, moment)));
}

/** What the in-kernel path manager did, as ours does it on this kernel. */
function asHere(theirs: Record, column: Column): Record {
  const ours = (["client", "server"] as const).filter((host) => column[host] === "ours");
  return theirs.map((lines) => ours.reduce(withBackupAsked, lines));
}

/** A command was, or named what an earlier refusal had kept from being there. */
function isRefused(theirs: Outcome): boolean {
  const lines = typeof theirs === "string" ? [theirs] : theirs.flat();
  return lines.some((line) => /^refused: |no endpoint .* to name/.test(line));
}

/** EADDRINUSE, and nothing else. */
function isPortRefused(mine: Outcome): boolean {
  return typeof mine !== "string" && mine.flat().some((line) => /^refused: .* port .*: 98 /.test(line));
}

/** "" when ours is what the kernel's was, but for the differences that are known. */
function compare(scenario: Scenario, column: Column, theirs: Outcome, mine: Outcome): string {
  if (scenario.mayRefusePort && (isRefused(theirs) || isPortRefused(mine))) return "";
  if (typeof theirs === "string" && typeof mine === "string") return theirs === mine ? "" : name(column, mine);
  if (typeof mine === "string" && scenario.kernelMayStall && column.client === "kernel") return "";
  if (typeof theirs === "string") return name(column, `all went well, and the kernel: ${theirs}`);
  if (typeof mine === "string") return name(column, mine);
  const known = theirs.map((_, moment) => [...differencesOf(scenario, column, moment)].sort());
  const wanted = asHere(theirs, column);
  const found = wanted.map((lines, moment) => difference(lines, withoutWords(mine[moment] ?? [], lines)));
  return describe(column, wanted, found, known);
}

function name({ client, server }: Column, what: string): string {
  return `\nclient ${client}, server ${server}: ${what}\n`;
}

function differencesOf({ differs }: Scenario, { client, server }: Column, moment: number): readonly string[] {
  if (!differs || (differs.since && isBefore(differs.since))) return [];
  const isClient = client === "ours";
  const isServer = server === "ours";
  const shows = { client: isClient, server: isServer, both: isClient && isServer }[differs.where];
  return shows ? (differs.at[moment] ?? []).filter(isCounted) : [];
}

/** An older kernel lacks counters (MPJoinRejected: Linux 6.18), and what they would tell is no difference there. */
function isCounted(line: string): boolean {
  const [, , name = ""] = line.split(" ");
  return !isCounter(name) || name in readCounters();
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
  return wrong.length === 0 ? "" : name(column, `\n${wrong.join("\n")}`);
}
