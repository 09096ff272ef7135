import { rmSync } from "node:fs";
import {
  blackBoxSize,
  type Choice,
  type ChoiceFacts,
  type Config,
  choosePathManager,
  type PathManager,
} from "../../config/index.ts";
import { ControlServer, PUBLIC, type RuntimeFiles } from "../../control/index.ts";
import { endpointKey, type SavedHost } from "../../host/index.ts";
import {
  MptcpPm,
  pathManagerSysctl,
  readPathManager,
  UnsupportedError,
  writePathManager,
} from "../../netlink/index.ts";
import type { ControlFailure, Endpoint } from "../../types/index.ts";
import { type BlackBoxPlace, blackBoxPlace } from "../black-box/place.ts";
import { dropCapabilities } from "../capabilities.ts";
import { Daemon } from "../daemon.ts";
import { readState, removeFiles, type SavedState, writeState } from "../files/runtime.ts";
import { StateKeeper } from "../files/state-keeper.ts";
import { HostState } from "../host/state.ts";
import type { Logger } from "../logger.ts";
import { QuotaFile, quotaPath } from "../quota/quota-file.ts";
import { isOfTheWorld } from "./last-resort.ts";
import { LastWill, voidLastWill } from "./last-will.ts";
import { notify } from "./notify.ts";
import { Watchdog } from "./watchdog.ts";

/** What the kernel refused for a moment it does at the second time; what it refuses thrice stays. */
const PUT_BACK_TRIES = 3;
/** After a failure everything is compared anew when the world had time to mend. Milliseconds. */
const COMPARE_AFTER = 500;

export interface Loaded {
  readonly config: Config;
  /** Empty: only the defaults. */
  readonly files: readonly string[];
}

export interface LifeOptions {
  /** As the command line names the namespace; undefined: the one that we were started in. */
  readonly netns?: string | undefined;
  readonly log: Logger;
  readonly version: string;
  readonly files: RuntimeFiles;
  /** @throws ConfigError */
  readonly load: () => Loaded;
  /** Called before each step of the warm-up: for tests of slow machines. */
  readonly onWarmUpStep?: (() => void) | undefined;
}

/** @throws UnsupportedError without MPTCP */
export function currentPathManager(): PathManager {
  const current = readPathManager();
  if (current === undefined) {
    throw new UnsupportedError("this kernel has no choice of path managers; it needs CONFIG_MPTCP and Linux 5.19");
  }
  return current === "userspace" ? "userspace" : "kernel";
}

/** @param endpoints the kernel's own table */
export function choiceFacts(saved: SavedState | undefined, endpoints: readonly Endpoint[]): ChoiceFacts {
  const owned = new Set(saved?.host.owned ?? []);
  // Who ended well has put it back; since then it may have been changed by somebody else.
  const current = saved && !saved.host.clean ? saved.pathManager : currentPathManager();
  return { current, endpoints, isOurs: (endpoint) => owned.has(endpointKey(endpoint)) };
}

function kernelEndpoints(): Endpoint[] {
  using pm = MptcpPm.open();
  return pm.endpoints();
}

/** A daemon in its namespace, from the first look to the last: whatever was begun is ended, in order. */
export class Life implements Disposable {
  readonly #options: LifeOptions;
  /** As they were at the start: what came into the kernel's table since does not change the choice. */
  readonly #choiceFacts: ChoiceFacts;
  readonly #choice: Choice;
  readonly #keeper: StateKeeper<Partial<SavedHost>>;
  readonly #daemon: Daemon;
  readonly #box: BlackBoxPlace;
  readonly #control: ControlServer;
  #applications: ControlServer | undefined;
  #loaded: Loaded;
  readonly #spins: boolean;
  readonly #state: HostState;
  #will: LastWill | undefined;
  #watchdog: Watchdog | undefined;
  #comparing: NodeJS.Timeout | undefined;
  #isPutBack = false;
  /** Something stays for connections, and the state tells the next life of it. */
  #isLeft = false;

  /** Looks, writes down what there is, and subscribes; nothing is changed before {@link start}. */
  constructor(options: LifeOptions, loaded: Loaded) {
    const { log, files, version, onWarmUpStep } = options;
    this.#options = options;
    this.#loaded = loaded;
    this.#spins = loaded.config.answers.spin;
    const saved = readState(files);
    voidLastWill(saved?.will);
    this.#choiceFacts = choiceFacts(saved, kernelEndpoints());
    this.#keeper = new StateKeeper(
      (host) => writeState(files, { pathManager: this.#before, host, will: this.#will?.pid }),
      log,
    );
    this.#state = new HostState(saved?.host, (host) => this.#keeper.save(host));
    this.#state.save();
    this.#choice = choosePathManager(loaded.config, this.#choiceFacts);
    this.#box = blackBoxPlace(options.netns, files);
    // Subscribed before the switch, so that no connection comes in between unseen.
    this.#daemon = new Daemon({
      log,
      version,
      pathManager: this.#choice.pathManager,
      state: this.#state,
      quotaFile: new QuotaFile(quotaPath(options.netns), log),
      blackBox: {
        ...{ directory: this.#box.directory, size: blackBoxSize(loaded.config) },
        isMasked: loaded.config.privacy === "mask",
      },
      spin: loaded.config.answers.spin,
      plugins: loaded.config.plugins,
      reload: () => this.reload(),
      troubles: () => (this.#keeper.trouble === undefined ? [] : [this.#keeper.trouble]),
      watchdog: () => this.#watchdog?.use,
      onWarmUpStep,
    });
    // Whoever asked has been told; a request that failed half-way is mended like anything else that does.
    this.#control = new ControlServer(files.socket, this.#daemon, { onFault: this.#onFault });
  }

  /** In charge before any daemon. */
  get #before(): PathManager {
    return this.#choiceFacts.current;
  }

  readonly #onFault = (error: unknown): void =>
    isOfTheWorld(error)
      ? this.onFailure(error)
      : this.#options.log.error({ err: error }, "a request failed, please report it");

  /** What applications may see goes by the configuration in force. Without its socket the rest goes on. */
  async #serveApplications(): Promise<void> {
    const isWanted = this.#loaded.config.applications !== "none";
    if (isWanted === (this.#applications !== undefined)) return;
    const { files, log } = this.#options;
    this.#applications?.[Symbol.dispose]();
    this.#applications = undefined;
    if (!isWanted) return;
    this.#applications = new ControlServer(files.applications, this.#daemon, {
      onFault: this.#onFault,
      audience: PUBLIC,
    });
    await this.#applications.listen().catch((error: Error) => log.warn(`applications see nothing: ${error.message}`));
  }

  /** Ready when it resolves: connections are served, and requests answered. */
  async start(): Promise<void> {
    const { log } = this.#options;
    this.#setPathManager();
    const adopted = this.#daemon.start(this.#loaded.config);
    await this.#control.listen();
    await this.#serveApplications();
    const { rules } = this.#loaded.config;
    dropCapabilities({ seesProcesses: rules.some(({ match }) => match.command !== undefined) });
    this.#daemon.beginPlugins();
    this.#daemon.openBlackBox();
    if (this.#loaded.config.answers.spin) this.#saySpins();
    log.info({ files: this.#loaded.files }, `ready: ${adopted} connections adopted`);
    notify("READY=1");
    this.#watchdog = new Watchdog(() => this.#daemon.isServing());
    // Half a second of processor time: much for tests that start hundreds of daemons, little for whom a connection waits.
    if (process.env.SUBFLOW_WARM_UP !== "no") this.#daemon.warmUp();
  }

  /** Reads the configuration again and puts it in force. @returns why not: then the old one stays */
  reload(): ControlFailure | undefined {
    const { log, load } = this.#options;
    try {
      this.#loaded = load();
    } catch (error) {
      const { message } = error as Error;
      log.error(`configuration not changed:\n${message}`);
      return { code: "CONFIG", message: `configuration not changed: ${message}` };
    }
    const { config, files } = this.#loaded;
    this.#daemon.reconfigure(config);
    void this.#serveApplications();
    log.info({ files }, "configuration read again");
    if (config.answers.spin !== this.#spins) log.warn("answers.spin can be changed by a restart only");
    if (choosePathManager(config, this.#choiceFacts).pathManager !== this.#choice.pathManager) {
      log.warn("the path manager can be changed by a restart only: connections would change hands");
    }
    return undefined;
  }

  /** After a system call failed somewhere: what was missed is found by comparing everything with the kernel. */
  onFailure(error: Error): void {
    this.#options.log.error(`${error.message}: everything is compared anew`);
    this.#comparing ??= setTimeout(() => {
      this.#comparing = undefined;
      this.#daemon.compareAnew();
    }, COMPARE_AFTER);
  }

  /** Puts the namespace back as it was found, unless it is to be kept. @returns whether all of it is */
  putBack(): boolean {
    if (this.#isPutBack || this.#loaded.config.keep_on_exit) return true;
    for (let left = PUT_BACK_TRIES; left > 0 && !this.#isPutBack; left--) this.#isPutBack = this.#tryToPutBack();
    if (!this.#isPutBack) {
      this.#options.log.error("not everything could be put back; the next start of a daemon here knows what is left");
    }
    return this.#isPutBack;
  }

  /** Resolves when what happened is written down, as far as the disk takes it; {@link putBack} first. */
  endBlackBox(): Promise<void> {
    return this.#daemon.endBlackBox();
  }

  /** Ends everything; {@link putBack} first. */
  [Symbol.dispose](): void {
    clearTimeout(this.#comparing);
    const { log, files } = this.#options;
    const parts = [this.#watchdog, this.#daemon, this.#control, this.#applications, this.#keeper];
    const removeBox = (): void => {
      if (!this.#box.isLasting) rmSync(this.#box.directory, { recursive: true, force: true });
    };
    for (const step of [...parts.map((each) => () => each?.[Symbol.dispose]()), removeBox]) {
      try {
        step();
      } catch (error) {
        log.error({ err: error }, "a part of the daemon did not end well");
      }
    }
    removeFiles(files, { state: (this.#isPutBack && !this.#isLeft) || this.#loaded.config.keep_on_exit });
  }

  #saySpins(): void {
    const { log } = this.#options;
    if (this.#choice.pathManager === "userspace")
      log.warn("answers.spin: a thread never sleeps, it takes a whole processor");
    else log.warn("answers.spin has no effect: the in-kernel path manager is in charge");
  }

  #tryToPutBack(): boolean {
    const { log } = this.#options;
    let isWhole = true;
    try {
      const restored = this.#daemon.restore();
      isWhole = restored.isWhole;
      this.#isLeft = restored.isLeft;
    } catch (error) {
      log.error({ err: error }, "the host could not be put back");
      isWhole = false;
    }
    try {
      this.#restorePathManager();
    } catch (error) {
      log.error({ err: error }, `net.mptcp.path_manager could not be made ${this.#before} again`);
      isWhole = false;
    }
    return isWhole;
  }

  #setPathManager(): void {
    const { log } = this.#options;
    const { pathManager, because } = this.#choice;
    log.info(`path manager: ${pathManager}, because ${because}`);
    if (this.#before !== pathManager && !this.#loaded.config.keep_on_exit) this.#makeWill();
    if (currentPathManager() === pathManager) return;
    writePathManager(pathManager);
    log.info(`net.mptcp.path_manager is ${pathManager} now, for new connections`);
  }

  /** Whoever is killed puts nothing back, and the next start of a daemon may be far. */
  #makeWill(): void {
    const { file, value } = pathManagerSysctl(this.#before);
    this.#will = new LastWill(file, value, ({ message }) =>
      this.#options.log.warn(
        `${message}: if the daemon is killed, net.mptcp.path_manager stays ${this.#choice.pathManager}`,
      ),
    );
    this.#state.save();
  }

  #restorePathManager(): void {
    if (this.#choice.pathManager !== this.#before && currentPathManager() !== this.#before) {
      writePathManager(this.#before);
      this.#options.log.info(`net.mptcp.path_manager is ${this.#before} again, for new connections`);
    }
    this.#will?.[Symbol.dispose]();
  }
}
