import type { Context } from "../command.ts";
import { EXIT } from "../failure.ts";
import { parseLimitsWords } from "../limits-grammar.ts";
import { withEndpointTable } from "../target.ts";

/** `limits set`. */
export async function run({ words, global }: Context): Promise<number> {
  const limits = parseLimitsWords(words);
  await withEndpointTable(global, (table) => table.setLimits(limits));
  return EXIT.success;
}
