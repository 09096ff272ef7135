import { existsSync } from "node:fs";
import { type Config, loadConfig } from "../config/index.ts";
import { ownRuntimeFiles } from "../control/index.ts";
import { checkNetns, loadNative, withNetns } from "../netlink/index.ts";
import { requireNetAdmin } from "./capabilities.ts";
import { now } from "./daemon.ts";
import { openRuntimeDirectory, removeFiles, takeLock } from "./files/runtime.ts";
import { installLastResort } from "./life/last-resort.ts";
import { Life, type LifeOptions, type Loaded } from "./life/life.ts";
import { notify } from "./life/notify.ts";
import { createLogger, type Logger } from "./logger.ts";

/** Options of `subflow run`; each one that is given wins over the configuration. */
export interface RunOptions {
  /** A name of /run/netns or a path: the daemon moves there. */
  readonly netns?: string | undefined;
  /** The configuration file. */
  readonly config?: string | undefined;
  readonly overrides: Partial<Pick<Config, "path_manager" | "automatic" | "keep_on_exit">> & {
    readonly logLevel?: Config["log"]["level"];
  };
  readonly version: string;
  /** Called before each step of the warm-up: for tests of slow machines. */
  readonly onWarmUpStep?: (() => void) | undefined;
}

/** The configuration with the command line's say on top. */
export function loadRunConfig({ config: file, overrides }: Pick<RunOptions, "config" | "overrides">): Loaded {
  const { logLevel, ...rest } = overrides;
  const { config, files } = loadConfig(file, rest);
  const log = logLevel === undefined ? config.log : { ...config.log, level: logLevel };
  return { config: { ...config, log }, files };
}

/** Moves this process into a network namespace, for good. @throws NetnsError */
export function enterNetns(netns: string): void {
  withNetns(netns, (fd) => checkNetns(loadNative().enterNamespace(fd), "cannot enter", netns));
}

/** Resolves with the signal that ends the daemon. */
function ending(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
}

/**
 * Runs the daemon in this network namespace until SIGTERM or SIGINT.
 * @throws SubflowError when it cannot start: nothing is changed then
 */
export async function runDaemon(options: RunOptions): Promise<void> {
  if (options.netns !== undefined) enterNetns(options.netns);
  requireNetAdmin("`subflow run`");
  const loaded = loadRunConfig(options);
  const log = createLogger(loaded.config.log);
  const files = ownRuntimeFiles();
  openRuntimeDirectory(files);
  takeLock(files);
  const stopped = ending();
  using life = begin({ ...options, log, files, load: () => loadRunConfig(options) }, loaded);
  using _resort = installLastResort({
    onFailure: (error) => life.onFailure(error),
    onFault: (error) => endAfterFault(life, log, error),
    now,
  });
  try {
    process.on("SIGHUP", () => life.reload());
    // Node opens its inspector on SIGUSR1; a daemon with privileges has no business doing so.
    process.on("SIGUSR1", () => undefined);
    await life.start();
    const signal = await stopped;
    log.info(`${signal}: ending; connections keep their subflows`);
  } finally {
    notify("STOPPING=1");
    life.putBack();
    await life.endBlackBox();
  }
}

/** Where it cannot begin, nothing was changed: the files are as they were. */
function begin(options: LifeOptions, loaded: Loaded): Life {
  const hadState = existsSync(options.files.state);
  try {
    return new Life(options, loaded);
  } catch (error) {
    removeFiles(options.files, { state: !hadState });
    throw error;
  }
}

/** The daemon is not to be trusted any more: it says why, puts back what it can, and the process ends. */
function endAfterFault(life: Life, log: Logger, error: unknown): void {
  log.fatal(
    { err: error },
    `a fault of the daemon, please report it: ${error instanceof Error ? error.message : error}`,
  );
  notify("STOPPING=1");
  life.putBack();
  life[Symbol.dispose]();
}
