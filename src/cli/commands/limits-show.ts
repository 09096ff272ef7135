import type { Context } from "../command.ts";
import { limitsJson, limitsLine } from "../endpoint-text.ts";
import { EXIT } from "../failure.ts";
import { renderJson } from "../json.ts";
import { parseLimitsWords } from "../limits-grammar.ts";
import { withEndpointTable } from "../target.ts";

/** `limits show`. */
export async function run({ words, global, streams }: Context): Promise<number> {
  parseLimitsWords(words);
  const limits = await withEndpointTable(global, (table) => table.limits());
  streams.out(global.json ? renderJson([limitsJson(limits)], global.pretty) : limitsLine(limits));
  return EXIT.success;
}
