import { parseArgs } from "node:util";
import type { Context } from "./command.ts";
import { noMoreWords, usageError } from "./failure.ts";

/** "`subflow why` takes one word" */
function tooMuch({ words, takes = [] }: Context["command"]): string {
  const count = ["no words", "one word at most"][takes.length] ?? `at most ${takes.length} words`;
  return `\`subflow ${words.join(" ")}\` takes ${count}`;
}

/** A command's own options by node:util parseArgs, from its row in the table. */
export function parseOptions(context: Context): { values: Record<string, string | undefined>; words: string[] } {
  const declared = context.command.options ?? [];
  const config = Object.fromEntries(
    declared.map(({ name, value }) => [name, { type: value === undefined ? "boolean" : "string" } as const]),
  );
  try {
    const parsed = parseArgs({ args: [...context.words], options: config, allowPositionals: true });
    const values = Object.entries(parsed.values).map(([name, value]) => [name, value === true ? "true" : value]);
    const words = parsed.positionals;
    const { takes } = context.command;
    if (takes) noMoreWords(words, takes.length, tooMuch(context.command));
    return { values: Object.fromEntries(values) as Record<string, string | undefined>, words };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const [complaint] = error.message.split(". ");
    throw usageError(`Error: ${complaint}.\nTry "subflow ${context.command.words.join(" ")} --help".`);
  }
}
