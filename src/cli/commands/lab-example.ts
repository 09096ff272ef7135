import { EXAMPLE_TOPOLOGY } from "../../lab/index.ts";
import type { Context } from "../command.ts";
import { EXIT } from "../failure.ts";

/** `lab example`. */
export function run({ streams }: Context): number {
  streams.out(EXAMPLE_TOPOLOGY);
  return EXIT.success;
}
