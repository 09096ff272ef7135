import type { Context } from "../command.ts";
import { parseEndpointWords } from "../endpoint-grammar.ts";
import { endpointJson, endpointLine } from "../endpoint-text.ts";
import { EXIT } from "../failure.ts";
import { Interfaces } from "../interfaces.ts";
import { renderJson } from "../json.ts";
import { withEndpointTable } from "../target.ts";

/** `endpoint show`. */
export async function run({ words, global, streams }: Context): Promise<number> {
  const interfaces = new Interfaces(global);
  const name = (index: number): string => interfaces.name(index);
  const asked = words.length > 0 ? parseEndpointWords("show", words, (word) => interfaces.index(word)) : undefined;
  // Without an id the kernel looks for id 0, which no endpoint has: its own refusal is the answer.
  const endpoints = await withEndpointTable(global, async (table) => {
    return asked ? [await table.endpoint(asked.id ?? 0)] : table.endpoints();
  });
  if (global.json) {
    streams.out(
      renderJson(
        endpoints.map((endpoint) => endpointJson(endpoint, name)),
        global.pretty,
      ),
    );
  } else {
    streams.out(endpoints.map((endpoint) => endpointLine(endpoint, name, streams.paint)).join(""));
  }
  return EXIT.success;
}
