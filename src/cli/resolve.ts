import type { Command } from "./command.ts";
import { usageError } from "./failure.ts";
import { COMMANDS } from "./table.ts";
import { abbreviates, nearest } from "./words.ts";

/** The nouns that iproute2 abbreviates by first match; every other noun must be unambiguous. */
const IP_MPTCP_NOUNS = ["endpoint", "limits", "monitor"];

/** Every first word that a person types, once, in the order of the table. */
export const NOUNS: readonly string[] = [
  ...new Set(COMMANDS.filter(({ hidden }) => !hidden).map((command) => command.words[0])),
];

/** The verbs of a noun, in the order of the table. */
export function commandsOf(noun: string): readonly Command[] {
  return COMMANDS.filter((command) => command.words[0] === noun);
}

/** What the first words of a command line mean: a command and what follows, or only a noun when help is asked of it. */
export type Resolved =
  | { readonly kind: "command"; readonly command: Command; readonly rest: readonly string[] }
  | { readonly kind: "help"; readonly noun: string };

/** Finds the command that words stand for, abbreviations included. */
export function resolve(words: readonly string[]): Resolved {
  const [first = "", second, ...others] = words;
  const noun = resolveNoun(first);
  const commands = commandsOf(noun);
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

function resolveNoun(word: string): string {
  if (COMMANDS.some(({ words }) => words[0] === word)) return word;
  const first = IP_MPTCP_NOUNS.find((noun) => abbreviates(word, noun));
  if (first) return first;
  const matching = NOUNS.filter((noun) => abbreviates(word, noun));
  if (matching.length > 1) {
    throw usageError(`Command "${word}" is ambiguous: ${matching.join(", ")}.`);
  }
  if (matching[0] === undefined) throw unknownCommand(word, NOUNS, "");
  return matching[0];
}

function unknownCommand(word: string, known: readonly string[], noun: string): Error {
  const meant = nearest(word, known);
  const hint = meant === undefined ? "" : `\nDid you mean "subflow ${noun}${meant}"?`;
  return usageError(`Command "${word}" is unknown, try "subflow help".${hint}`);
}
