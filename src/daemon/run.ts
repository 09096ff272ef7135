import {
  checkNetns,
  loadNative,
  readPathManager,
  UnsupportedError,
  withNetns,
  writePathManager,
} from "../netlink/index.ts";
import { dropCapabilities, requireNetAdmin } from "./capabilities.ts";
import { type Choice, choosePathManager, type PathManager } from "./choice.ts";
import { type Config, ConfigError, loadConfig } from "./config/index.ts";
import { ControlServer } from "./control-server.ts";
import { Daemon } from "./daemon.ts";
import { Memory } from "./host/memory.ts";
import { createLogger, type Logger } from "./logger.ts";
import { notify } from "./notify.ts";
import { type RuntimeFiles, readState, removeFiles, runtimeFiles, takeLock, writeState } from "./runtime.ts";

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
}

interface Loaded {
  readonly config: Config;
  readonly files: readonly string[];
}

/** The configuration with the command line's say on top. */
export function loadRunConfig({ config: file, overrides }: Pick<RunOptions, "config" | "overrides">): Loaded {
  const { config, files } = loadConfig(file);
  const { logLevel, ...rest } = overrides;
  const log = logLevel === undefined ? config.log : { ...config.log, level: logLevel };
  return { config: { ...config, ...rest, log }, files };
}

/** Moves this process into a network namespace, for good. @throws NetnsError */
export function enterNetns(netns: string): void {
  withNetns(netns, (fd) => checkNetns(loadNative().enterNamespace(fd), "cannot enter", netns));
}

/** @throws UnsupportedError without MPTCP */
export function currentPathManager(): PathManager {
  const current = readPathManager();
  if (current === undefined) {
    throw new UnsupportedError("this kernel has no choice of path managers; it needs CONFIG_MPTCP and Linux 5.19");
  }
  return current === "userspace" ? "userspace" : "kernel";
}

function setPathManager({ pathManager, because }: Choice, log: Logger): void {
  log.info(`path manager: ${pathManager}, because ${because}`);
  if (currentPathManager() === pathManager) return;
  writePathManager(pathManager);
  log.info(`net.mptcp.path_manager is ${pathManager} now, for new connections`);
}

/** Resolves with the signal that ends the daemon. */
function ending(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
}

/** What the namespace was like before any daemon of ours; what is changed is written down as it is changed. */
function remember(files: RuntimeFiles): { readonly before: PathManager; readonly memory: Memory } {
  const saved = readState(files);
  const before = saved?.pathManager ?? currentPathManager();
  const memory = new Memory(saved?.host, (host) => writeState(files, { pathManager: before, host }));
  memory.save();
  return { before, memory };
}

/**
 * Runs the daemon in this network namespace until SIGTERM or SIGINT.
 * @throws SubflowError when it cannot start: nothing is changed then
 */
export async function runDaemon(options: RunOptions): Promise<void> {
  if (options.netns !== undefined) enterNetns(options.netns);
  requireNetAdmin("`subflow run`");
  let loaded = loadRunConfig(options);
  const log = createLogger(loaded.config.log);
  const files = runtimeFiles();
  takeLock(files);
  const stopped = ending();
  const { before, memory } = remember(files);
  const choice = choosePathManager(loaded.config, before);
  const reload = (): void => {
    try {
      loaded = loadRunConfig(options);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return log.error(`configuration not changed:\n${error.message}`);
    }
    daemon.configure(loaded.config);
    log.info({ files: loaded.files }, "configuration read again");
    if (choosePathManager(loaded.config, before).pathManager !== choice.pathManager) {
      log.warn("another path manager takes a restart: connections would change hands");
    }
  };
  // Subscribed before the switch, so that no connection comes in between unseen.
  const daemon = new Daemon({ log, version: options.version, pathManager: choice.pathManager, memory, reload });
  const control = new ControlServer(files.socket, (method, params, answer) => daemon.control(method, params, answer));
  try {
    setPathManager(choice, log);
    process.on("SIGHUP", reload);
    // Node opens its inspector on SIGUSR1; a daemon with privileges has no business doing so.
    process.on("SIGUSR1", () => undefined);
    const adopted = daemon.start(loaded.config);
    await control.listen();
    dropCapabilities();
    log.info({ files: loaded.files }, `ready: ${adopted} connections adopted`);
    notify("READY=1");
    const signal = await stopped;
    log.info(`${signal}: ending; connections keep their subflows`);
    notify("STOPPING=1");
  } finally {
    if (!loaded.config.keep_on_exit) restore(daemon, before, choice, log);
    daemon[Symbol.dispose]();
    control[Symbol.dispose]();
    removeFiles(files);
  }
}

function restore(daemon: Daemon, before: PathManager, choice: Choice, log: Logger): void {
  daemon.restore();
  if (choice.pathManager === before) return;
  writePathManager(before);
  log.info(`net.mptcp.path_manager is ${before} again, for new connections`);
}
