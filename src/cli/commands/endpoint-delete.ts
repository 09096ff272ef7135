import type { Context } from "../command.ts";
import { parseEndpointWords } from "../endpoint-grammar.ts";
import { EXIT } from "../failure.ts";
import { Interfaces } from "../interfaces.ts";
import { withEndpointTable } from "../target.ts";

/** `endpoint delete`. */
export async function run({ words, global }: Context): Promise<number> {
  const interfaces = new Interfaces(global);
  const { id, address } = parseEndpointWords("delete", words, (name) => interfaces.index(name));
  await withEndpointTable(global, (table) => table.deleteEndpoint({ id: id!, address }));
  return EXIT.success;
}
