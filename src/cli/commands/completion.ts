import type { Context } from "../command.ts";
import { completionScript, SHELLS } from "../completion.ts";
import { EXIT, missingArgument, wrongArgument } from "../failure.ts";
import { parseOptions } from "../options.ts";

/** `completion bash|zsh|fish`. */
export function run(context: Context): number {
  const [word] = parseOptions(context).words;
  const { streams } = context;
  if (word === undefined) throw missingArgument("SHELL");
  const shell = SHELLS.find((known) => known === word);
  if (!shell) throw wrongArgument(word, `the shells are ${SHELLS.join(", ")}`);
  streams.out(completionScript(shell));
  return EXIT.success;
}
