import { type ClientOptions, ControlConnection } from "../../control/index.ts";
import type { HistoryConnection, HistoryParameters } from "../../types/index.ts";
import { inWords, type Told } from "./story.ts";

/** Pages that are asked for: each is read anew by the daemon, with rests. */
const PAGES_MAX = 8;

/** What became of connections. */
export interface History {
  /** In the order of their beginning. */
  readonly connections: readonly HistoryConnection[];
  readonly story: readonly Told[];
  /** Older ones that are left out. */
  readonly more: number;
}

/**
 * The history of one's own connections, as the daemon tells it who may not read the black box.
 * @throws what {@link ControlConnection} does; SubflowError with BUSY where it is being read for others
 */
export async function ownHistory(wanted: HistoryParameters, options: ClientOptions): Promise<History> {
  const control = await ControlConnection.open(options);
  try {
    const found = new Map<string, HistoryConnection>();
    let story: readonly Told[] = [];
    for (let page = 1; ; page++) {
      const told = await control.ask("history", { ...wanted, ...(found.size > 0 && { skip: found.size }) });
      // What began meanwhile has moved the pages on.
      const older = told.connections.filter((each) => !found.has(keyOf(each)));
      const newer = [...found.entries()];
      found.clear();
      for (const [key, each] of [...older.map((each) => [keyOf(each), each] as const), ...newer]) found.set(key, each);
      const { interfaces = {} } = told;
      const steps = told.story ?? [];
      if (page === 1)
        story = steps.map(({ time, kind, happening }) =>
          inWords(
            { time, kind, happening, at: happening.at, token: happening.token, type: happening.type },
            (address) => (Object.hasOwn(interfaces, address) ? interfaces[address] : undefined),
          ),
        );
      if (told.more === 0 || page === PAGES_MAX) return { connections: [...found.values()], story, more: told.more };
    }
  } finally {
    control.close();
  }
}

function keyOf({ token, began, ended }: HistoryConnection): string {
  return `${token} ${began ?? ""} ${began === undefined ? ended : ""}`;
}
