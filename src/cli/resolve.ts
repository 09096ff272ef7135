import type { Command } from "./command.ts";
import { usageError } from "./failure.ts";
import { abbreviates, nearest } from "./words.ts";

/** The words that iproute2 abbreviates by first match; every other noun must be unambiguous. */
const IP_MPTCP_NOUNS = ["endpoint", "limits", "monitor", "help"];

/** Every first word that a person types, once, in the order of the table. */
export function nounsOf(table: readonly Command[]): readonly string[] {
  return [...new Set(table.filter(({ hidden }) => !hidden).map((command) => command.words[0]))];
}

/** The verbs of a noun, in the order of the table. */
export function commandsOf(table: readonly Command[], noun: string): readonly Command[] {
  return table.filter((command) => command.words[0] === noun);
}

/** What the first words of a command line mean: a command and what follows, or only a noun when help is asked of it. */
export type Resolved =
  | { readonly kind: "command"; readonly command: Command; readonly rest: readonly string[] }
  | { readonly kind: "help"; readonly noun: string };

/** Finds the command that words stand for, abbreviations included. */
export function resolve(table: readonly Command[], words: readonly string[]): Resolved {
  const [first = "", second, ...others] = words;
  const noun = resolveNoun(table, first);
  const commands = commandsOf(table, noun);
  const only = commands[0]!;
  if (only.words.length === 1) return { kind: "command", command: only, rest: words.slice(1) };
  if (second === undefined) {
    return { kind: "command", command: commands.find((command) => command.byDefault) ?? only, rest: [] };
  }
  const command = commands.find((candidate) => abbreviates(second, candidate.words[1]!));
  if (command) return { kind: "command", command, rest: others };
  if (second === "help") return { kind: "help", noun };
  throw unknownCommand(
    second,
    commands.map((candidate) => candidate.words[1]!),
    `${noun} `,
  );
}

/** Whether a program of others' is named already: what follows is its. */
export function isPassedOn(table: readonly Command[], [first, second]: readonly string[]): boolean {
  if (first === undefined || second === undefined || second.startsWith("-")) return false;
  return table.some(({ words, passesOn }) => passesOn && first.length > 1 && abbreviates(first, words[0]));
}

function resolveNoun(table: readonly Command[], word: string): string {
  if (table.some(({ words }) => words[0] === word)) return word;
  const first = IP_MPTCP_NOUNS.find((noun) => abbreviates(word, noun));
  if (first) return first;
  const nouns = nounsOf(table);
  const matching = nouns.filter((noun) => abbreviates(word, noun));
  if (matching.length > 1) {
    throw usageError(`Command "${word}" is ambiguous: ${matching.join(", ")}.`);
  }
  if (matching[0] === undefined) throw unknownCommand(word, nouns, "");
  return matching[0];
}

function unknownCommand(word: string, known: readonly string[], noun: string): Error {
  const meant = nearest(word, known);
  const hint = meant === undefined ? "" : `\nDid you mean "subflow ${noun}${meant}"?`;
  return usageError(`Command "${word}" is unknown, try "subflow help".${hint}`);
}
