import { EXAMPLE_TOPOLOGY } from "../../lab/index.ts";
import type { Context } from "../command.ts";
import { EXIT } from "../failure.ts";
import { parseOptions } from "../options.ts";

/** `lab example`. */
export function run(context: Context): number {
  parseOptions(context);
  context.streams.out(EXAMPLE_TOPOLOGY);
  return EXIT.success;
}
