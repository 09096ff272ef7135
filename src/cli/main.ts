import { describeFailure, EXIT, isBrokenPipe } from "./failure.ts";
import { type GlobalOptions, takeGlobalOptions } from "./global-options.ts";
import { isPassedOn, resolve } from "./resolve.ts";
import { processStreams, type Streams } from "./streams.ts";
import { COMMANDS } from "./table.ts";
import { VERSION } from "./version.ts";

/**
 * Runs one command line (without node and script) and resolves to the exit status. `streams` replaces the process's
 * own, for tests.
 */
export async function main(argv: readonly string[], streams?: Streams): Promise<number> {
  let output = streams ?? processStreams("auto", process.env);
  try {
    const { global, words } = takeGlobalOptions(argv, (before) => isPassedOn(COMMANDS, before));
    output = streams ?? processStreams(global.colour, process.env);
    return await dispatch(words, global, output);
  } catch (error) {
    return report(error, output);
  }
}

async function dispatch(words: readonly string[], global: GlobalOptions, streams: Streams): Promise<number> {
  if (global.version) {
    streams.out(`subflow ${VERSION}\n`);
    return EXIT.success;
  }
  if (words.length === 0 && !global.help) {
    const { reminder } = await import("./help.ts");
    streams.err(reminder(COMMANDS));
    return EXIT.usage;
  }
  const resolved = words.length === 0 || global.help ? undefined : resolve(COMMANDS, words);
  if (resolved?.kind !== "command") {
    const { helpPage } = await import("./help.ts");
    streams.out(helpPage(COMMANDS, words, streams.width));
    return EXIT.success;
  }
  const { command, rest } = resolved;
  if (command.stepsBack) (await import("./priority.ts")).stepBack();
  const { run } = await command.load();
  return await run({ table: COMMANDS, command, words: rest, global, streams });
}

function report(error: unknown, streams: Streams): number {
  if (isBrokenPipe(error)) return EXIT.brokenPipe;
  const { text, exitStatus } = describeFailure(error);
  try {
    streams.err(`${text}\n`);
  } catch (closed) {
    if (!isBrokenPipe(closed)) throw closed;
  }
  return exitStatus;
}
