import type { Decision } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { decisionJson, decisionLine, followDecisions } from "../decisions.ts";
import { EXIT, isBrokenPipe, usageError } from "../failure.ts";
import { Interfaces } from "../interfaces.ts";
import { renderJson } from "../json.ts";
import { eventJson, eventLine } from "../monitor-text.ts";
import { openPathManager } from "../target.ts";

/** `monitor [ events ]`: runs until SIGINT or SIGTERM, which end it with status 0, as in iproute2. */
export function run({ words, global, streams }: Context): Promise<number> {
  const [what] = words;
  if (what !== undefined && what !== "events") throw usageError(`Command "${what}" is unknown, try "subflow help".`);
  const manager = openPathManager(global);
  const stopped = new AbortController();
  return new Promise((resolve, reject) => {
    const finish = (outcome: () => void): void => {
      stopped.abort();
      subscription.close();
      manager.close();
      outcome();
    };
    const fail = (error: unknown): void =>
      finish(() => (isBrokenPipe(error) ? resolve(EXIT.brokenPipe) : reject(error)));
    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        fail(error);
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
    if (what === undefined) {
      const decision = (each: Decision): void =>
        guarded(() =>
          streams.out(global.json ? renderJson(decisionJson(each), false) : decisionLine(each, streams.paint)),
        );
      const lost = (count: number): void =>
        guarded(() => streams.err(`Warning: ${count} decisions came faster than they could be read.\n`));
      followDecisions(global.netns, { decision, lost }, stopped.signal).catch(fail);
    }
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => finish(() => resolve(EXIT.success)));
    }
  });
}
