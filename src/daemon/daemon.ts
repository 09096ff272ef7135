import { randomBytes } from "node:crypto";
import { release } from "node:os";
import {
  blackBoxSize,
  type Config,
  choosePolicy,
  delayOf,
  hostConfig,
  type PathManager,
  remoteAddressRules,
} from "../config/index.ts";
import { type Answer, type Asker, type CheckedRequest, type ControlService, checkRequest } from "../control/index.ts";
import type { Command, ConfigChanged } from "../engine/index.ts";
import { type Capacity, idleReasons, lifelinesOf, type Restored } from "../host/index.ts";
import { kernelCapacity } from "../host-facts/index.ts";
import { type AnswerCounts, MptcpPm, type NetlinkSubscription, Rtnl } from "../netlink/index.ts";
import {
  CONTROL_VERSION,
  type ControlFailure,
  type ControlHello,
  MPTCP_EVENT,
  type MptcpEvent,
  type WatchdogUse,
} from "../types/index.ts";
import type { MessageHeader } from "../wire/index.ts";
import { BlackBox } from "./black-box/black-box.ts";
import { hostBeginning } from "./black-box/host-beginning.ts";
import { commandOf } from "./commands.ts";
import { History } from "./history/history.ts";
import { HostDriver } from "./host/driver.ts";
import { type EndpointPort, KernelEndpoints } from "./host/endpoint-port.ts";
import type { HostState } from "./host/state.ts";
import type { Logger } from "./logger.ts";
import { Plugins } from "./plugins/plugins.ts";
import type { QuotaFile } from "./quota/quota-file.ts";
import { Quotas } from "./quota/quotas.ts";
import { RuleClock } from "./rules/rule-clock.ts";
import { NOT_YOURS, refusalOf, steerable } from "./rules/steering.ts";
import { Seeing } from "./seeing/seeing.ts";
import { tokenOf } from "./trace.ts";
import { IdleWork } from "./tuning/idle-work.ts";
import { Rest } from "./tuning/rest.ts";
import { UserspacePathManager } from "./userspace.ts";

export interface DaemonOptions {
  readonly log: Logger;
  readonly version: string;
  readonly pathManager: PathManager;
  readonly state: HostState;
  /** Where the use of quotas is written down. */
  readonly quotaFile: QuotaFile;
  /** The thread that answers MPTCP events never sleeps; of use with the userspace path manager alone. */
  readonly spin: boolean;
  /** Where the black box is, and how large it is at first; undefined: off. */
  readonly blackBox: { readonly directory: string; readonly size: number | undefined; readonly isMasked: boolean };
  /** Policies in processes of their own: files by names. */
  readonly plugins: Config["plugins"];
  /** Reads the configuration again. @returns why not */
  readonly reload: () => ControlFailure | undefined;
  /** What cannot be done at present, a sentence each. */
  readonly troubles: () => readonly string[];
  /** What the watchdog was told; undefined: there is none. */
  readonly watchdog: () => WatchdogUse | undefined;
  /** Called before each step of the warm-up: for tests of slow machines. */
  readonly onWarmUpStep?: (() => void) | undefined;
}

/** Explanations of one request of somebody who may see what is theirs: each asks the kernel whose it is. */
const TOKENS_OF_OTHERS = 16;

/** So long the kernel's word of a new connection may take to get here, and how often it is looked for. Milliseconds. */
const TOLD_WITHIN = 1000;
const TOLD_PACE = 20;

type SteerRequest = Extract<CheckedRequest, { method: "policy.set" | "policy.unset" }>;

/** The clock of everything in a daemon: whole microseconds, which are written down in few bytes and read as they were. */
export const now = (): number => Math.round(performance.now() * 1000) / 1000;

/** Everything that runs in one network namespace: the host and, where it is in charge, the userspace path manager where it is in charge. */
export class Daemon implements ControlService, Disposable {
  readonly #options: DaemonOptions;
  readonly #pm = MptcpPm.open();
  readonly #rtnl = Rtnl.open();
  readonly #userspace: UserspacePathManager | undefined;
  readonly #plugins: Plugins | undefined;
  readonly #endpoints: EndpointPort;
  readonly #host: HostDriver;
  readonly #quotas: Quotas;
  readonly #subscription: NetlinkSubscription;
  readonly #rest = new Rest(() => this.#userspace?.refresh());
  readonly #seeing: Seeing;
  readonly #box: BlackBox;
  readonly #history: History;
  readonly #started = now();
  readonly #rules = new RuleClock((rules) => this.#userspace?.useConfig({ ...this.#treatment, rules, onlyNew: true }));
  /** Of connections that no rule is for. */
  #treatment: Pick<ConfigChanged, "policy" | "given" | "delay"> = {};
  #batch: MptcpEvent[] = [];
  /** Policies that programs of other users may ask for. */
  #steerable: readonly string[] = [];
  /** Of the last ESTABLISHED of the batch. */
  #established: MessageHeader | undefined;
  /** Why there was nothing to set, as it was last said. */
  #idle = "";
  #events = 0;
  #overruns = 0;
  #warmUp: IdleWork | undefined;

  /** Subscribes; nothing is decided before {@link start}. */
  constructor(options: DaemonOptions) {
    this.#options = options;
    const { log, state } = options;
    const shared = { pm: this.#pm, rtnl: this.#rtnl, log, now };
    const capacity = kernelCapacity(options.pathManager, this.#pm);
    this.#userspace =
      options.pathManager === "userspace"
        ? new UserspacePathManager({ ...shared, capacity, onAsk: (question) => this.#plugins?.ask(question) })
        : undefined;
    this.#box = this.#makeBox(capacity);
    this.#box.configure(options.blackBox.size, options.blackBox.isMasked);
    this.#history = new History({ written: () => this.#box.written() });
    this.#userspace?.recordBy((event, actions, at) => this.#box.event(event, actions, at));
    this.#plugins = this.#userspace && this.#makePlugins(options.plugins);
    this.#endpoints = this.#userspace ?? new KernelEndpoints(this.#pm);
    this.#quotas = new Quotas({
      rtnl: this.#rtnl,
      log,
      file: options.quotaFile,
      links: () => this.#host.links,
      onStage: () => this.#host.compare(),
    });
    this.#host = new HostDriver({
      ...shared,
      endpoints: this.#endpoints,
      capacity,
      state,
      onAddresses: (told) => this.#userspace?.setOwnAddresses(told),
      onNetwork: () => this.#userspace?.onNetwork(),
      record: (fact, actions, at, context) => this.#box.fact(fact, actions, at, context),
      quotaUsed: () => this.#quotas.used,
      onDone: (type, line) => this.#seeing.noteHost(type, line),
      recovers: () => !this.#userspace?.triesAgain,
      connections: () => this.#pm.lives(),
      // The engine spares last subflows by itself.
      closesSubflows: !this.#userspace,
    });
    this.#subscription = this.#pm.watch(
      (event, header) => {
        this.#batch.push(event);
        if (event.type === MPTCP_EVENT.ESTABLISHED) this.#established = header;
      },
      () => this.#onOverrun(),
      () => this.#onBatchEnd(),
      { spin: options.spin && this.#userspace !== undefined },
    );
    this.#userspace?.foresee(this.#subscription);
    this.#seeing = new Seeing({
      now,
      managed: (token) => this.#userspace?.connection(token),
      onWatched: (isWatched) =>
        this.#userspace?.tell(isWatched ? (event, actions) => this.#seeing.note(event, actions) : undefined),
    });
  }

  [Symbol.dispose](): void {
    this.#warmUp?.[Symbol.dispose]();
    this.#rules[Symbol.dispose]();
    this.#seeing[Symbol.dispose]();
    this.#rest[Symbol.dispose]();
    this.#quotas[Symbol.dispose]();
    this.#host[Symbol.dispose]();
    this.#plugins?.[Symbol.dispose]();
    this.#userspace?.[Symbol.dispose]();
    this.#history[Symbol.dispose]();
    this.#box[Symbol.dispose]();
    this.#subscription.close();
    this.#rtnl.close();
    this.#pm.close();
  }

  #makeBox(capacity: Capacity): BlackBox {
    const { log, state, pathManager, blackBox, version } = this.#options;
    const userspace = this.#userspace;
    return new BlackBox({
      ...{ now, timeOfDay: () => Date.now(), log, directory: blackBox.directory },
      about: { life: randomBytes(6).toString("hex"), version, kernel: release(), pathManager },
      host: () =>
        hostBeginning(state.memory, { capacity, closesSubflows: !userspace, sysctls: this.#host?.sysctls ?? [] }),
      table: userspace && (() => ({ endpoints: userspace.endpoints(), limits: userspace.limits() })),
      tokens: () => userspace?.tokens ?? [],
      connection: (token) => userspace?.connection(token),
    });
  }

  /** From now on files may be written: rights that nobody needs are given up. */
  openBlackBox(): void {
    this.#box.open();
  }

  /** Starts the processes of other people's policies, which have none of the rights that are left then. */
  beginPlugins(): void {
    this.#plugins?.begin();
  }

  /** Resolves when what happened is written down, as far as the disk takes it. */
  endBlackBox(): Promise<void> {
    return this.#box.end();
  }

  /** Puts the configuration in force and takes over the connections that exist. @returns how many those are */
  start(config: Config): number {
    this.#restoreTable();
    this.configure(config);
    this.#userspace?.adopt();
    return this.#userspace?.connectionCount ?? 0;
  }

  #makePlugins(plugins: Config["plugins"]): Plugins | undefined {
    if (Object.keys(plugins).length === 0) return undefined;
    const { log } = this.#options;
    const made = new Plugins(plugins, {
      ...{ log, now },
      onAnswer: (event) => this.#userspace?.hear(event),
      onChange: (elsewhere) => this.#userspace?.hear({ type: "policies.changed", elsewhere }),
    });
    this.#userspace?.hear({ type: "policies.changed", elsewhere: made.standings });
    return made;
  }

  /** The configuration was read again. */
  reconfigure(config: Config): void {
    this.configure(config);
    this.#plugins?.reload(config.plugins);
  }

  /** Endpoints that stay keep their ids and what hangs on them. */
  configure(config: Config): void {
    this.#box.configure(blackBoxSize(config), config.privacy === "mask");
    const treatment = { ...choosePolicy(config), delay: delayOf(config.delay) };
    this.#treatment = treatment;
    this.#steerable = steerable(config);
    this.#userspace?.useConfig({ ...treatment, rules: this.#rules.use(config.rules) }, remoteAddressRules(config));
    const host = hostConfig(config, this.#options.pathManager);
    this.#quotas.configure(host);
    this.#host.configure(host);
    this.#saveTable();
    this.#sayIdle(config);
  }

  /** A daemon that does nothing looks like one that does not work: it says why, and again when that changed. */
  #sayIdle({ automatic }: Config): void {
    const reasons = this.#host.plan ? idleReasons(this.#host.plan, automatic) : [];
    if (reasons.join() === this.#idle) return;
    this.#idle = reasons.join();
    for (const reason of reasons) this.#options.log.warn(reason);
  }

  /**
   * Lets V8 compile what stands between an event and its command, between the events that come meanwhile. To be called when all
   * else at start is done: what runs afterwards for the first time makes V8 compile again.
   */
  warmUp(): void {
    const { log } = this.#options;
    const start = now();
    this.#warmUp = new IdleWork({
      steps: this.#warmUpSteps(),
      served: () => this.#events,
      now,
      onEnd: (isWhole) => {
        const took = `${Math.round(now() - start)} ms`;
        log.info(
          isWhole ? `warmed up in ${took}` : `not warmed up: given up after ${took}, this machine is busy or slow`,
        );
      },
    });
  }

  *#warmUpSteps(): Generator<void> {
    for (const part of [this.#host.warmUp(), this.#userspace?.warmUp() ?? []]) {
      for (const _step of part) {
        this.#options.onWarmUpStep?.();
        yield;
      }
    }
  }

  /** Whether the kernel is reached, and answers, in this turn of the loop. */
  isServing(): boolean {
    try {
      this.#pm.limits();
      return true;
    } catch {
      return false;
    }
  }

  /** Reads everything anew, as if nothing were known. */
  compareAnew(): void {
    this.#host.refresh();
    this.#userspace?.adopt();
  }

  /** Puts the host back as it was found, as far as no connection lives by what is there now. */
  restore(): Restored {
    const bySubflows = new Set(lifelinesOf(this.#pm.lives()).flatMap((lifeline) => [...lifeline]));
    const inUse = { bySubflows, byConnections: this.#pm.addressesInUse() };
    return this.#host.restore({ ofTable: this.#userspace === undefined, inUse });
  }

  /** Answers one request of the control socket. */
  call(method: string, params: unknown, answer: Answer, asker: Asker): void {
    const request = checkRequest(method, params);
    if ("code" in request) return answer(null, request);
    if (!asker.isTrusted) return this.#queryOfOthers(request, answer, asker);
    const command = commandOf(request);
    // Who asks wants to know what the kernel has told of, not what we have looked at.
    this.#subscription.release();
    if (!command) return this.#query(request, answer, asker);
    if (!this.#userspace) return answer(null, KERNEL_IN_CHARGE);
    const refused = this.#userspace.command(command);
    if (refused) return answer(null, { code: "KERNEL", ...refused });
    this.#saveTable();
    answer(null);
  }

  /** Whoever is neither root nor ours sees what is theirs, by the kernel's word, and changes nothing but that, and that only where they may. */
  #queryOfOthers(request: CheckedRequest, answer: Answer, asker: Asker): void {
    switch (request.method) {
      case "hello": {
        const { product, version, control, pathManager, policy } = this.#hello();
        const steer = this.#steerable;
        return answer({ product, version, control, pathManager, policy, ...(steer.length > 0 && { steer }) });
      }
      case "watch":
        return this.#seeing.watch(request.params, answer, asker);
      case "history":
        this.#subscription.release();
        return this.#history.tell(request.params, answer, asker);
      case "why": {
        if (!this.#userspace) return answer(null, KERNEL_IN_CHARGE);
        const theirs = request.params.tokens.slice(0, TOKENS_OF_OTHERS);
        const isTheirs = (token: number): boolean => this.#seeing.isOf(asker.uid, token);
        return answer(theirs.map((token) => (isTheirs(token) ? (this.#userspace?.why(token) ?? null) : null)));
      }
      case "policy.set":
      case "policy.unset":
        return this.#steer(request, answer, asker);
      default:
        return answer(null, { code: "DENIED", message: `${request.method} is for root and the daemon's group` });
    }
  }

  /** Somebody wants another policy for a connection of their own, or the configuration's again, which nobody is refused. */
  #steer(request: SteerRequest, answer: Answer, asker: Asker, waited = 0): void {
    const { token } = request.params;
    const policy = request.method === "policy.set" ? request.params.policy : undefined;
    const { uid } = asker;
    // Nor is anything looked up for nobody, or by a daemon that has ended meanwhile.
    if (!asker.isThere) return;
    const refusal = policy === undefined ? undefined : refusalOf(policy, this.#steerable);
    if (refusal) return answer(null, refusal);
    if (!this.#userspace) return answer(null, KERNEL_IN_CHARGE);
    this.#subscription.release();
    if (!this.#seeing.isOf(uid, token)) return answer(null, NOT_YOURS);
    // Who asks as soon as the connection is there may be before its event.
    if (!this.#userspace.connection(token) && waited < TOLD_WITHIN) {
      setTimeout(() => this.#steer(request, answer, asker, waited + TOLD_PACE), TOLD_PACE).unref();
      return;
    }
    const refused = this.#userspace.command(commandOf(request) as Command);
    if (refused) return answer(null, { code: "KERNEL", ...refused });
    this.#options.log.info(
      tokenOf({ token }),
      `user ${uid} asks for ${policy === undefined ? "what the configuration says" : `policy ${policy}`}`,
    );
    answer(null);
  }

  #query({ method, params }: CheckedRequest, answer: Answer, asker: Asker): void {
    const userspace = this.#userspace;
    switch (method) {
      case "hello":
        return answer(this.#hello());
      case "endpoint.list":
        return answer(this.#endpoints.endpoints());
      case "limits.get":
        return answer(this.#endpoints.limits());
      case "host":
        return answer(this.#host.plan ?? null);
      case "watch":
        return this.#seeing.watch(params, answer, asker);
      case "history":
        return this.#history.tell(params, answer, asker);
      case "recording":
        void this.#box.written().then((directory) => answer(directory === undefined ? null : { directory }));
        return;
      case "rules":
        return answer(userspace ? this.#rules.told : { rules: [], more: 0 });
      case "reload":
        return answer(null, this.#options.reload());
      case "snapshot":
        if (!userspace) return answer(null, KERNEL_IN_CHARGE);
        return answer(params.token === undefined ? userspace.snapshot() : (userspace.connection(params.token) ?? null));
      case "why":
        if (!userspace) return answer(null, KERNEL_IN_CHARGE);
        return answer(params.tokens.map((token) => userspace.why(token) ?? null));
      default:
        return answer(null, { code: "INTERNAL", message: `${method} has no answer` });
    }
  }

  #hello(): ControlHello {
    const userspace = this.#userspace;
    return {
      product: "subflow",
      version: this.#options.version,
      control: CONTROL_VERSION,
      pid: process.pid,
      pathManager: this.#options.pathManager,
      policy: userspace?.policy ?? "",
      uptime: Math.round(now() - this.#started),
      connections: userspace?.connectionCount ?? 0,
      events: this.#events,
      overruns: this.#overruns,
      ...aheadOf(this.#userspace?.ahead, this.#host.ahead),
      paths: userspace?.pathCounts,
      ...(userspace && { latency: userspace.latency }),
      watchdog: this.#options.watchdog(),
      ...(this.#quotas.uses && { quotas: this.#quotas.uses }),
      ...(this.#box.use && { blackBox: this.#box.use }),
      troubles: [...this.#options.troubles(), ...this.#box.troubles, ...this.#quotas.troubles, ...this.#host.troubles],
    };
  }

  #onBatchEnd(): void {
    const batch = this.#batch;
    const established = this.#established;
    this.#batch = [];
    this.#established = undefined;
    this.#events += batch.length;
    this.#rest.worked(batch.length);
    this.#userspace?.onEvents(batch, established);
    this.#host.onEvents(batch);
    this.#seeing.onEvents(batch);
  }

  #onOverrun(): void {
    this.#overruns++;
    this.#batch = [];
    this.#userspace?.onOverrun();
    this.#host.onEvents([]);
    this.#seeing.onOverrun();
  }

  /** The kernel keeps its table over our death; ours is written down, so that it does the same. */
  #saveTable(): void {
    if (this.#userspace) this.#options.state.save();
  }

  #restoreTable(): void {
    const userspace = this.#userspace;
    if (!userspace) return;
    const { state } = this.#options;
    if (state.table) userspace.setLimits(state.table.limits);
    for (const endpoint of state.table?.endpoints ?? []) userspace.add(endpoint);
    state.followTable(() => ({ endpoints: userspace.endpoints(), limits: userspace.limits() }));
  }
}

/** What went out ahead, for connections and for the host. */
function aheadOf(...all: readonly (AnswerCounts | undefined)[]): Pick<ControlHello, "foreseen" | "ahead"> {
  const sum = (name: keyof AnswerCounts): number => all.reduce((total, counts) => total + (counts?.[name] ?? 0), 0);
  return { foreseen: sum("answered"), ahead: { sent: sum("sent"), refused: sum("refused") } };
}

const KERNEL_IN_CHARGE: ControlFailure = {
  code: "REQUEST",
  message:
    "the in-kernel path manager is in charge here; it gives no reasons (`subflow run --path-manager userspace` does)",
};
