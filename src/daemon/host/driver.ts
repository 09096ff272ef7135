import type { HostAddresses } from "../../engine/index.ts";
import {
  type Capacity,
  FELT,
  type Haste,
  type HostAction,
  type HostChange,
  type HostConfig,
  HostEngine,
  type HostFact,
  type HostFacts,
  type HostLink,
  type HostPlan,
  type Network,
  planHost,
  pricesOf,
  type Restored,
  type RestoreFact,
  reconcileHost,
} from "../../host/index.ts";
import { connectionNames, findRivals, NetworkModel, Sysctls } from "../../host-facts/index.ts";
import { type AnswerCounts, type Rtnl, readCounters, readSysctl, writeSysctl } from "../../netlink/index.ts";
import type { SysctlRead } from "../../recording/index.ts";
import type { ConnectionLife, Millis, MptcpEvent } from "../../types/index.ts";
import { NotedSysctls } from "../black-box/noted-sysctls.ts";
import type { Logger } from "../logger.ts";
import { warmUpHost } from "../tuning/warm-up-host.ts";
import { Applier } from "./applier.ts";
import { type EndpointPort, refusalOf } from "./endpoint-port.ts";
import { Foreseer } from "./foreseer.ts";
import { LossWatch } from "./loss-watch.ts";
import type { HostState } from "./state.ts";

const BLACKHOLE = "net.mptcp.blackhole_timeout";

/** @param sysctls what the engine asked for since the last time */
export type RecordFact = (
  fact: HostFact,
  actions: readonly HostAction[],
  now: Millis,
  context: { readonly recovers: boolean; readonly sysctls: readonly SysctlRead[] },
) => void;

export interface HostDriverOptions {
  readonly endpoints: EndpointPort;
  /** Deleting an endpoint closes every subflow from it; otherwise the table itself spares last subflows. */
  readonly closesSubflows: boolean;
  /** Lost subflows come back by endpoints that are made anew: nobody else sees to it. */
  readonly recovers?: (() => boolean) | undefined;
  /** What every MPTCP connection of the namespace lives by. */
  readonly connections: () => readonly ConnectionLife[];
  /** Told of all addresses of the host, and those of its endpoints where traffic costs money: at first, and when one came or went. */
  readonly onAddresses?: ((told: Omit<HostAddresses, "type">) => void) | undefined;
  /** Told when links, addresses or routes have changed, and the plan has followed. */
  readonly onNetwork?: (() => void) | undefined;
  /** Told of each change of the host that was made. */
  readonly onDone?: ((type: HostChange["type"], line: string) => void) | undefined;
  /** Bytes that interfaces with a quota have carried in its period. */
  readonly quotaUsed?: (() => ReadonlyMap<string, number>) | undefined;
  /** Told of all that the engine is told, and what it answered. */
  readonly record?: RecordFact | undefined;
  readonly rtnl: Rtnl;
  readonly capacity: Capacity;
  readonly state: HostState;
  readonly log: Logger;
  readonly now: () => Millis;
}

/** The host's engine in the world: facts of the network go in, with a clock, and what comes out is carried out. All in one turn. */
export class HostDriver implements Disposable {
  readonly #options: HostDriverOptions;
  readonly #engine: HostEngine;
  readonly #model: NetworkModel;
  readonly #applier: Applier;
  readonly #foreseer: Foreseer | undefined;
  /** Whoever has a policy for each connection looks at each of them by itself. */
  readonly #lossWatch: LossWatch | undefined;
  readonly #sysctls = new Sysctls();
  readonly #noted = new NotedSysctls(this.#sysctls);
  #timer: NodeJS.Timeout | undefined;
  #armedFor = Number.POSITIVE_INFINITY;
  #config: HostConfig | undefined;
  /** Of the engine, when what follows from a correction was done. */
  #corrections = 0;
  /** Of the addresses that {@link HostDriverOptions.onAddresses} was told last. */
  #toldOf = "";

  constructor(options: HostDriverOptions) {
    this.#options = options;
    const { rtnl, now, log, capacity, closesSubflows, endpoints } = options;
    const { memory } = options.state;
    this.#engine = new HostEngine({ memory, capacity, closesSubflows, recovers: options.recovers });
    this.#model = new NetworkModel({
      rtnl,
      now,
      log,
      onBatch: () => this.#onBatch(),
      onChange: (haste: Haste) => {
        this.#feed({ type: "network.changed", haste });
        options.onNetwork?.();
      },
      isOurs: (interfaceIndex, address) => this.#engine.isOurs(interfaceIndex, address),
    });
    const nameOf = (index: number): string => this.#model.nameOf(index);
    this.#applier = new Applier({ endpoints, rtnl, log, nameOf, onDone: options.onDone });
    if (closesSubflows) {
      this.#lossWatch = new LossWatch({
        wants: () => this.#engine.wantsLosses,
        onLosses: (paths) => this.#feed({ type: "losses", paths }),
        now,
      });
    }
    if (endpoints.requests) {
      const { requests } = endpoints;
      const network = (): Network => this.#network();
      this.#foreseer = new Foreseer({
        engine: this.#engine,
        model: this.#model,
        network,
        sysctls: this.#sysctls,
        memory,
        requests,
        now,
      });
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#armedFor = Number.NEGATIVE_INFINITY;
    this.#foreseer?.[Symbol.dispose]();
    this.#lossWatch?.[Symbol.dispose]();
    this.#model[Symbol.dispose]();
  }

  /** Every sysctl that was asked for so far. */
  get sysctls(): readonly SysctlRead[] {
    return this.#noted.all();
  }

  /** The plan in force, with what it leaves out. */
  get plan(): HostPlan | undefined {
    return this.#engine.plan;
  }

  /** What is not as it should be for now, a sentence each. */
  get troubles(): readonly string[] {
    return this.#engine.troubles;
  }

  /** Of what went out ahead; undefined: nothing does. */
  get ahead(): AnswerCounts | undefined {
    return this.#foreseer?.counts;
  }

  get links(): readonly HostLink[] {
    return this.#model.links;
  }

  /** Plans anew: something that is not of the network has changed. */
  compare(): void {
    this.#feed({ type: "compare" });
  }

  nameOf(interfaceIndex: number): string {
    return this.#model.nameOf(interfaceIndex);
  }

  /** What connections went through; nothing where events were lost. */
  onEvents(events: readonly MptcpEvent[]): void {
    if (this.#engine.hearsEvents) this.#feed({ type: "events", events });
  }

  /** Puts a configuration in force at once. */
  configure(config: HostConfig): void {
    this.#config = config;
    this.#foreseer?.forget();
    this.#feed({ type: "configured", config });
    if (config.interfaces.some(({ match }) => match.connection !== undefined)) void this.#nameConnections();
  }

  /** What would be done now, without doing it. */
  preview(config: HostConfig): { readonly plan: HostPlan; readonly actions: readonly HostChange[] } {
    const { memory } = this.#options.state;
    const facts = this.#readFacts();
    const plan = planHost(facts, config, memory);
    return { plan, actions: reconcileHost(facts, plan, config, memory) };
  }

  /** Steps that let V8 compile the way from a lost link to what is done about it. */
  warmUp(): Iterable<void> {
    if (!this.#config) return [];
    const { memory } = this.#options.state;
    return warmUpHost(this.#readFacts(), this.#config, memory, (index) => this.nameOf(index));
  }

  /** Reads the network and the table anew and corrects. */
  refresh(): void {
    this.#sysctls.forget();
    this.#tell({ type: "table.doubted" }, this.#options.now());
    this.#model.refresh();
  }

  /** Puts everything back as it was found, but what connections live by. */
  restore(what: Omit<RestoreFact, "type">): Restored {
    this.#feed({ type: "ending" });
    // Read anew: of what we have just done the kernel has not told yet.
    this.refresh();
    this.#feed({ type: "restore", ...what });
    this.#foreseer?.withdraw();
    return this.#engine.restored ?? { isWhole: false, isLeft: false };
  }

  #feed(fact: HostFact): void {
    try {
      this.#step(fact);
      if (this.#engine.corrections !== this.#corrections) this.#onCorrected();
    } finally {
      this.#arm();
    }
  }

  #step(fact: HostFact): void {
    const { now } = this.#options;
    const began = now();
    const actions = this.#tell(fact, began);
    const ended = now();
    if (ended - began > FELT) this.#tell({ type: "thought", took: ended - began }, ended);
    this.#perform(actions);
  }

  #tell(fact: HostFact, now: Millis): readonly HostAction[] {
    const { record, recovers } = this.#options;
    const actions = this.#engine.handle(fact, now);
    record?.(fact, actions, now, { recovers: recovers?.() ?? true, sysctls: this.#noted.take() });
    return actions;
  }

  #perform(actions: readonly HostAction[]): void {
    const { connections, endpoints, log, now, state } = this.#options;
    const changes: HostChange[] = [];
    for (const action of actions) {
      switch (action.type) {
        case "say":
          log[action.level](action.text);
          break;
        case "state.save":
          state.save();
          break;
        case "sysctls.forget":
          this.#sysctls.forget();
          break;
        case "blackhole.forget":
          this.#forgetBlackhole();
          break;
        case "network.read":
          this.#step({ type: "network", network: this.#network() });
          break;
        case "table.read":
          this.#step({ type: "table", endpoints: endpoints.endpoints(), limits: endpoints.limits() });
          break;
        case "connections.read": {
          const began = now();
          const read = connections();
          this.#step({ type: "connections", connections: read, cost: now() - began });
          break;
        }
        case "rivals.find":
          this.#step({ type: "rivals", rivals: findRivals() });
          break;
        default:
          changes.push(action);
      }
    }
    if (changes.length > 0) this.#step({ type: "done", errnos: this.#applier.apply(changes) });
  }

  /** To write the timeout, whatever it is, makes the kernel try MPTCP again at once (proc_blackhole_detect_timeout). */
  #forgetBlackhole(): void {
    const timeout = readSysctl(BLACKHOLE);
    if (timeout === undefined || timeout === "0" || (readCounters().Blackhole ?? 0) === 0) return;
    const refused = refusalOf(() => writeSysctl(BLACKHOLE, timeout));
    if (!refused) this.#options.log.info("another network: MPTCP is tried again, which the one before had dropped");
  }

  #onCorrected(): void {
    this.#corrections = this.#engine.corrections;
    this.#tellAddresses();
    this.#foreseer?.renewSoon();
    this.#lossWatch?.wake();
  }

  #tellAddresses(): void {
    const { onAddresses } = this.#options;
    const { addressRevision, addresses, links } = this.#model;
    const { metered, costs } = pricesOf(this.plan?.endpoints ?? []);
    const names = new Map(links.map(({ index, name }) => [index, name]));
    const told = `${addressRevision} ${metered.join()} ${[...costs].join()} ${[...names.values()].join()}`;
    if (!onAddresses || told === this.#toldOf) return;
    this.#toldOf = told;
    const named = addresses.map(({ address, interfaceIndex }) => [address, names.get(interfaceIndex) ?? ""] as const);
    onAddresses({ addresses: addresses.map(({ address }) => address), metered, costs, interfaceNames: new Map(named) });
  }

  /** What went out ahead is done, and the table is not as we left it. */
  #onBatch(): void {
    const given = this.#foreseer?.given() ?? [];
    for (const action of given) {
      this.#applier.report(action, "went ahead");
      this.#tell({ type: "endpoint.foreseen", endpoint: action.endpoint }, this.#options.now());
    }
    this.#foreseer?.doubt();
  }

  #network(): Network {
    const { links, addresses, routes, rules } = this.#model;
    return { links, addresses, routes, rules, sysctls: this.#noted, quotaUsed: this.#options.quotaUsed?.() };
  }

  #readFacts(): HostFacts {
    const { endpoints, capacity } = this.#options;
    return { ...this.#network(), endpoints: endpoints.endpoints(), limits: endpoints.limits(), capacity };
  }

  async #nameConnections(): Promise<void> {
    this.#model.setConnectionNames(await connectionNames(this.#model.links));
    this.#feed({ type: "compare" });
  }

  #arm(): void {
    const due = this.#engine.nextTick ?? Number.POSITIVE_INFINITY;
    // A timer that ends too early costs one idle tick; setting it anew for every event would cost more.
    if (due >= this.#armedFor) return;
    clearTimeout(this.#timer);
    this.#armedFor = due;
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, Math.ceil(due - this.#options.now())));
  }

  #tick(): void {
    this.#armedFor = Number.POSITIVE_INFINITY;
    this.#feed({ type: "tick" });
  }
}
