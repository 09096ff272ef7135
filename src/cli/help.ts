import type { Command } from "./command.ts";
import { GLOBAL_OPTIONS } from "./global-options.ts";
import { type Row, tableLines, wrapped } from "./layout.ts";
import { commandsOf, nounsOf, resolve } from "./resolve.ts";

/** The page about the command, or the noun, that the words stand for; without words about everything. */
export function helpPage(table: readonly Command[], words: readonly string[], width: number): string {
  const lines = page(table, words).flatMap((part) =>
    typeof part === "string" ? wrapped(part, width, hangOf(part)) : tableLines(part, width),
  );
  return lines.join("\n");
}

/** Where the rest of a long line begins: below its text, or a little further in than a usage. */
function hangOf(line: string): number {
  const indent = /^ */.exec(line)![0].length;
  return /^ *(Usage:|subflow )/.test(line) ? indent + 4 : indent;
}

/** A line, or the rows of a table. */
type Part = string | readonly Row[];

function page(table: readonly Command[], words: readonly string[]): Part[] {
  if (words.length === 0) return overview(table);
  const resolved = resolve(table, words);
  if (resolved.kind === "help") return nounHelp(table, resolved.noun);
  return words.length === 1 ? nounHelp(table, resolved.command.words[0]) : commandHelp(resolved.command);
}

/** The one-line reminder that stands under a wrong command line. */
export function reminder(table: readonly Command[]): string {
  return `Usage: subflow [ OPTIONS ] { ${nounsOf(table).join(" | ")} }\nTry "subflow --help".\n`;
}

function overview(table: readonly Command[]): Part[] {
  const commands = table
    .filter(({ hidden }) => !hidden)
    .map((command): Row => [command.words.join(" "), "", command.summary]);
  return [
    "Usage: subflow [ OPTIONS ] COMMAND",
    "",
    "Shows and steers the paths of Multipath TCP connections. endpoint, limits and monitor are those of ip-mptcp(8).",
    "",
    commands,
    "",
    "Options:",
    globalRows(),
    "",
    'More about one command: "subflow help COMMAND". Words may be abbreviated as in ip(8).',
    "Exit status: 0, 2 when the kernel refuses, 255 for a wrong command line, 1 for everything else.",
    "",
  ];
}

/** The page of one command. */
function commandHelp(command: Command): Part[] {
  const name = command.words.join(" ");
  const lines: Part[] = [`Usage: subflow ${name} ${command.usage}`.trimEnd(), "", `${capitalised(command.summary)}.`];
  if (command.details) lines.push("", ...command.details.map((line) => `  ${line}`));
  if (command.options) {
    const rows = command.options.map(
      ({ name, value, says }): Row => [`--${name}${value ? ` ${value}` : ""}`, "", says],
    );
    lines.push("", "Options:", rows);
  }
  lines.push("", "Global options:", globalRows());
  lines.push("", "Examples:", ...command.examples.map((example) => `  subflow ${example}`), "");
  return lines;
}

/** The page of a noun with several verbs; of a single command, that command's page. */
function nounHelp(table: readonly Command[], noun: string): Part[] {
  const commands = commandsOf(table, noun);
  if (commands.length === 1) return commandHelp(commands[0]!);
  const usages = commands.map((command) => `  subflow ${command.words.join(" ")} ${command.usage}`.trimEnd());
  const rows = commands.map((command): Row => [command.words[1] ?? "", "", command.summary]);
  return ["Usage:", ...usages, "", rows, "", `More: "subflow help ${noun} VERB".`, ""];
}

function globalRows(): Row[] {
  return GLOBAL_OPTIONS.map(({ short, long, value, says }) => [
    `${short ? `-${short}, ` : "    "}--${long}${value ? ` ${value}` : ""}`,
    "",
    says,
  ]);
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
