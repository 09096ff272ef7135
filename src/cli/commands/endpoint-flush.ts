import type { Context } from "../command.ts";
import { EXIT } from "../failure.ts";
import { withEndpointTable } from "../target.ts";

/** `endpoint flush`; words behind it are ignored, as iproute2 does. */
export async function run({ global }: Context): Promise<number> {
  await withEndpointTable(global, (table) => table.flushEndpoints());
  return EXIT.success;
}
