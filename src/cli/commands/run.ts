import { dryRun, type RunOptions, runDaemon } from "../../daemon/index.ts";
import type { Context } from "../command.ts";
import { ipFlags } from "../diagnosis/ip-flags.ts";
import { EXIT, wrongArgument } from "../failure.ts";
import { machine, renderJson } from "../json.ts";
import { parseOptions } from "../options.ts";
import { VERSION } from "../version.ts";

const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
const PATH_MANAGERS = ["auto", "kernel", "userspace"] as const;

/** `run`: the daemon, in the foreground, until it is told to end. */
export async function run(context: Context): Promise<number> {
  const { values } = parseOptions(context);
  const pathManager = oneOf(PATH_MANAGERS, values["path-manager"], "a path manager");
  const logLevel = oneOf(LOG_LEVELS, values["log-level"], "a log level");
  const overrides: RunOptions["overrides"] = {
    ...(pathManager && { path_manager: pathManager }),
    ...(values["no-automatic"] && { automatic: false }),
    ...(values["keep-on-exit"] && { keep_on_exit: true }),
    ...(logLevel && { logLevel }),
  };
  const { netns } = context.global;
  const options: RunOptions = { netns, config: values.config, overrides, version: VERSION };
  if (values["dry-run"]) preview(context, options);
  else await runDaemon(options);
  return EXIT.success;
}

function oneOf<T extends string>(words: readonly T[], word: string | undefined, what: string): T | undefined {
  if (word === undefined) return undefined;
  const found = words.find((candidate) => candidate === word);
  if (!found) throw wrongArgument(word, `${what} is one of ${words.join(", ")}`);
  return found;
}

/** The plan as a diff: every step is the command that it amounts to; below, what the plan leaves out. */
function preview({ global, streams }: Context, options: RunOptions): void {
  const planned = dryRun(options, ipFlags());
  const { choice, plan, steps, uncovered } = planned;
  if (global.json) return streams.out(renderJson(machine(planned), global.pretty));
  streams.out(`# path manager: ${choice.pathManager}, because ${choice.because}\n`);
  if (steps.length === 0) streams.out("# nothing to do: the host is as planned\n");
  for (const { mark, command } of steps) {
    const colour = mark === "+" ? "good" : mark === "-" ? "bad" : "warning";
    streams.out(`${streams.paint(colour, `${mark} ${command}`)}\n`);
  }
  for (const { what, reason, remedy } of plan.leftOut) {
    streams.out(`# left out: ${what}: ${reason}${remedy === "" ? "" : `; ${remedy}`}\n`);
  }
  for (const text of uncovered) streams.out(`# not covered: ${text}; the userspace path manager would\n`);
}
