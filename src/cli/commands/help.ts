import type { Context } from "../command.ts";
import { EXIT } from "../failure.ts";
import { helpPage } from "../help.ts";

/** `help [COMMAND]`. */
export function run({ table, words, streams }: Context): number {
  streams.out(helpPage(table, words, streams.width));
  return EXIT.success;
}
