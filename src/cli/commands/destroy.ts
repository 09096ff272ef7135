import type { Context } from "../command.ts";
import { EXIT } from "../failure.ts";
import { Interfaces } from "../interfaces.ts";
import { parseOptions } from "../options.ts";
import { selectSubflows, steerableConnection } from "../selection.ts";
import { withPathManager } from "../target.ts";
import { tokenArgument } from "../words.ts";

/** `destroy`: closes subflows. */
export function run(context: Context): number {
  const { values, words } = parseOptions(context);
  const token = tokenArgument(words[0]);
  const { global } = context;
  withPathManager(global, (manager) => {
    const connection = steerableConnection(manager, token);
    const selection = { all: values.all !== undefined, interfaces: new Interfaces(global) };
    for (const { path } of selectSubflows(connection, words.slice(1), selection)) {
      manager.destroySubflow({ token, path });
    }
  });
  return EXIT.success;
}
