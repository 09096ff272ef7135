import type { Context } from "../command.ts";
import { EXIT, isBrokenPipe, usageError } from "../failure.ts";
import { Interfaces } from "../interfaces.ts";
import { renderJson } from "../json.ts";
import { eventJson, eventLine } from "../monitor-text.ts";
import { openPathManager } from "../target.ts";

/** `monitor`: runs until SIGINT or SIGTERM, which end it with status 0, as in iproute2. */
export function run({ words, global, streams }: Context): Promise<number> {
  if (words[0] !== undefined) throw usageError(`Command "${words[0]}" is unknown, try "subflow help".`);
  const manager = openPathManager(global);
  return new Promise((resolve, reject) => {
    const finish = (outcome: () => void): void => {
      subscription.close();
      manager.close();
      outcome();
    };
    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        finish(() => (isBrokenPipe(error) ? resolve(EXIT.brokenPipe) : reject(error)));
      }
    };
    const subscription = manager.watch(
      (event) =>
        guarded(() => {
          // Interfaces come and go while this runs: their names are read anew for an event that carries one.
          const interfaces = new Interfaces(global);
          const name = (index: number): string => interfaces.name(index);
          streams.out(global.json ? renderJson(eventJson(event, name), false) : eventLine(event, name, streams.paint));
        }),
      () => guarded(() => streams.err("Warning: events came faster than they could be read; some are lost.\n")),
    );
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => finish(() => resolve(EXIT.success)));
    }
  });
}
