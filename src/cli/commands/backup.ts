import type { Context } from "../command.ts";
import { EXIT } from "../failure.ts";
import { Interfaces } from "../interfaces.ts";
import { parseOptions } from "../options.ts";
import { selectSubflows, steerableConnection } from "../selection.ts";
import { withPathManager } from "../target.ts";
import { tokenArgument } from "../words.ts";

/** `backup` and `nobackup`: sends MP_PRIO (RFC 8684 §3.3.8). */
export function run(context: Context): number {
  const { values, words } = parseOptions(context);
  const token = tokenArgument(words[0]);
  const { global } = context;
  const backup = context.command.words[0] === "backup";
  withPathManager(global, (manager) => {
    const connection = steerableConnection(manager, token);
    const selection = { all: values.all !== undefined, interfaces: new Interfaces(global) };
    for (const { path } of selectSubflows(connection, words.slice(1), selection)) {
      manager.setBackup({ token, path, backup });
    }
  });
  return EXIT.success;
}
