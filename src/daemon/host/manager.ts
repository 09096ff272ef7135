import {
  type AddressesInUse,
  type Capacity,
  commandLine,
  endpointKey,
  type HostAction,
  type HostConfig,
  type HostFacts,
  type HostPlan,
  planHost,
  reconcileHost,
  restoreHost,
} from "../../host/index.ts";
import {
  type Change,
  connectionNames,
  findRivals,
  NetworkModel,
  Pace,
  REST,
  type Rival,
  Sysctls,
} from "../../host-facts/index.ts";
import type { AnswerCounts, Rtnl } from "../../netlink/index.ts";
import type { Address, Connection, Endpoint, Limits, Millis } from "../../types/index.ts";
import type { Logger } from "../logger.ts";
import { Applier } from "./applier.ts";
import type { EndpointPort } from "./endpoint-port.ts";
import { HostForesight } from "./foresight.ts";
import { LastPathGuard } from "./last-path-guard.ts";
import type { Memory } from "./memory.ts";

/**
 * After a change is served, further gains wait this long and are served together: a DHCP renewal or a thousand new
 * addresses are a few plans, not a thousand. A loss never waits.
 */
export const SETTLING: Millis = 20;
/** Where a plan is felt, longer: so many times as long as the last took, and at most this. */
const SETTLING_MAX: Millis = 1000;
/** Foreseeing is a plan for each link: on hosts with more of everything than this, who hears of a change plans for it then. */
const FORESEEABLE_MAX = 512;
/** V8 optimises a function after some hundred calls; 300 plans take about 20 ms. */
const WARM_UP_ROUNDS = 300;
/** The kernel does not tell of changed endpoints: they are read anew so often. */
const AUDIT_INTERVAL: Millis = 2000;
/** An endpoint of ours that vanished so often within the window is somebody else's will: it is let go. */
const REMOVALS_MAX = 3;
const REMOVALS_WINDOW: Millis = 60_000;

export interface HostManagerOptions {
  readonly endpoints: EndpointPort;
  /** Whom deleting an endpoint may harm; absent where the table itself spares last subflows. */
  readonly connections?: (() => readonly Connection[]) | undefined;
  /** Told of all addresses of the host, at first and when one came or went. */
  readonly onAddresses?: ((addresses: readonly Address[]) => void) | undefined;
  readonly rtnl: Rtnl;
  readonly capacity: Capacity;
  readonly memory: Memory;
  readonly log: Logger;
  readonly now: () => Millis;
}

/** How far the host is as it was found. */
export interface Restored {
  /** Nothing was refused. */
  readonly isWhole: boolean;
  /** Something stays because connections live by it, and the next life must know that it is ours. */
  readonly isLeft: boolean;
}

/** Keeps a host as its plan says: follows the network, plans, and carries out the difference. */
export class HostManager implements Disposable {
  readonly #options: HostManagerOptions;
  readonly #model: NetworkModel;
  readonly #applier: Applier;
  readonly #guard: LastPathGuard | undefined;
  readonly #audit: NodeJS.Timeout;
  readonly #removals = new Map<string, Millis[]>();
  #config: HostConfig | undefined;
  #plan: HostPlan | undefined;
  #settling: NodeJS.Timeout | undefined;
  /** What was foreseen follows from this. */
  #foreseenBecause: string | undefined;
  #foreseenRevision = -1;
  readonly #foreseeing: Pace;
  #unsaved = false;
  /** Of the addresses that {@link HostManagerOptions.onAddresses} was told last. */
  #toldOf = -1;
  readonly #foresight: HostForesight | undefined;
  #waiting = false;
  readonly #sysctls = new Sysctls();
  /** Interfaces and addresses of the endpoints that are there or planned: what is lost elsewhere is in no haste. */
  #concerned: Concerned | undefined;
  /** Of the last correction. */
  #cost: Millis = 0;
  /** As planned when they were last set. */
  #limits: Limits | undefined;
  #rivals = "";
  /** The table as we left it; undefined: to be read. */
  #table: Pick<HostFacts, "endpoints" | "limits"> | undefined;

  constructor(options: HostManagerOptions) {
    this.#options = options;
    const { rtnl } = options;
    this.#model = new NetworkModel({
      rtnl,
      now: options.now,
      log: options.log,
      onBatch: () => this.#onBatch(),
      onChange: (change) => this.#onChange(change),
      isOurs: (interfaceIndex, address) => this.#isOurs(interfaceIndex, address),
    });
    this.#applier = new Applier({ ...options, nameOf: (index) => this.#model.nameOf(index) });
    const { connections, now, log } = options;
    if (connections) this.#guard = new LastPathGuard({ connections, look: () => this.evaluate(), now, log });
    this.#foreseeing = new Pace({ now, rest: REST, run: () => this.#foresee() });
    const { requests } = options.endpoints;
    if (requests) {
      this.#foresight = new HostForesight(this.#model.subscription, requests, (facts) => this.#actionsFor(facts));
    }
    this.#audit = setInterval(() => this.#onAudit(), AUDIT_INTERVAL);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#audit);
    clearTimeout(this.#settling);
    this.#foreseeing[Symbol.dispose]();
    this.#foresight?.[Symbol.dispose]();
    this.#guard?.[Symbol.dispose]();
    this.#model[Symbol.dispose]();
  }

  /** The plan in force, with what it leaves out. */
  get plan(): HostPlan | undefined {
    return this.#plan;
  }

  /** Endpoints that should go, and stay because connections live by them, a sentence each. */
  get waiting(): readonly string[] {
    return [...(this.#guard?.spared ?? [])].map(([key, connections]) => {
      const whose = connections === 1 ? "a connection has" : `${connections} connections have`;
      return `endpoint ${key} should go, and stays: ${whose} no other subflow that works`;
    });
  }

  /** Of what went out ahead; undefined: nothing does. */
  get ahead(): AnswerCounts | undefined {
    return this.#foresight?.counts;
  }

  /** Connections have come, gone or changed. */
  onConnections(): void {
    this.#guard?.onEvents();
  }

  nameOf(interfaceIndex: number): string {
    return this.#model.nameOf(interfaceIndex);
  }

  /** Puts a configuration in force at once. */
  configure(config: HostConfig): void {
    this.#config = config;
    this.#limits = undefined;
    this.#foreseenBecause = undefined;
    this.#options.memory.yielded.clear();
    this.evaluate();
    if (config.interfaces.some(({ match }) => match.connection !== undefined)) void this.#nameConnections();
  }

  /** What would be done now, without doing it. */
  preview(config: HostConfig): { readonly plan: HostPlan; readonly actions: readonly HostAction[] } {
    const facts = this.#facts();
    const plan = planHost(facts, config, this.#options.memory);
    return { plan, actions: reconcileHost(facts, plan, config, this.#options.memory) };
  }

  /**
   * Plans many times what is not carried out, so that V8 has compiled the path when the first link is lost: interpreted it
   * takes ten times as long, and a laptop's daemon sees few changes in its life. A step a plan.
   */
  *warmUp(): Generator<void> {
    const config = this.#config;
    if (!config) return;
    const facts = this.#facts();
    const { memory } = this.#options;
    for (let round = 0; round < WARM_UP_ROUNDS; round++) {
      const some = { ...facts, addresses: facts.addresses.filter((_, index) => (index + round) % 3 !== 0) };
      const plan = planHost(some, config, memory);
      for (const action of reconcileHost(some, plan, config, memory))
        commandLine(action, (index) => this.nameOf(index));
      yield;
    }
  }

  /** Reads the network and the table anew and corrects. */
  refresh(): void {
    this.#table = undefined;
    this.#sysctls.forget();
    this.#model.refresh();
  }

  /** Compares and corrects now, with a table that is read now. */
  evaluate(): void {
    this.#table = undefined;
    this.#correct();
  }

  #correct(): void {
    if (!this.#config) return;
    const { memory, endpoints, now } = this.#options;
    const began = now();
    const facts = this.#facts();
    this.#tellAddresses();
    this.#noteRemovals(memory.look(facts.endpoints));
    this.#plan = planHost(facts, this.#config, memory);
    const wanted = reconcileHost(facts, this.#withoutOldLimits(this.#plan), this.#config, memory);
    // What thinking costs decides how often it is done; looking at connections and the kernel's deeds do not.
    this.#cost = now() - began;
    const actions = this.#guard?.permit(wanted, facts) ?? wanted;
    const failed = this.#applier.apply(actions, facts.limits);
    // What was refused is planned anew.
    if (!failed.some(({ type }) => type === "limits.set")) this.#limits = this.#plan.limits;
    const table = actions.length === 0 ? facts.endpoints : endpoints.endpoints();
    this.#table = { endpoints: table, limits: endpoints.limits() };
    this.#concerned = concernedBy([...table, ...this.#plan.endpoints]);
    memory.afterCrash = false;
    if (this.#unsaved) memory.save();
    this.#unsaved = false;
    // What was written is known; the cache would say what was before.
    if (actions.some(({ type }) => type === "sysctl.set")) this.#sysctls.forget();
    this.#foreseeSoon();
  }

  #tellAddresses(): void {
    const { onAddresses } = this.#options;
    const { addressRevision, addresses } = this.#model;
    if (!onAddresses || addressRevision === this.#toldOf) return;
    this.#toldOf = addressRevision;
    onAddresses(addresses.map(({ address }) => address));
  }

  /** Is anything of ours there? Before the first plan everything may be. */
  #isOurs(interfaceIndex: number, address?: Address): boolean {
    if (!this.#concerned) return true;
    const { addresses, interfaces } = this.#concerned;
    return address === undefined ? interfaces.has(interfaceIndex) : addresses.has(address);
  }

  /** While changes come one after the other, nothing is foreseen: each would make untrue what was foreseen before it. */
  #foreseeSoon(): void {
    if (!this.#foresight) return;
    if (this.#model.revision !== this.#foreseenRevision) this.#foresight.withdraw();
    this.#foreseeing.ask();
  }

  #foresee(): void {
    if (!this.#config || !this.#foresight) return;
    const { addresses, links, routes } = this.#model;
    if (addresses.length + links.length + routes.length > FORESEEABLE_MAX) return this.#foresight.withdraw();
    const { owned, yielded } = this.#options.memory;
    const facts = this.#facts();
    const { endpoints, limits } = facts;
    // The model has a number for what is large; whoever thinks it all over for nothing is late for what happens meanwhile.
    const { revision } = this.#model;
    const because = JSON.stringify([revision, this.#sysctls.revision, endpoints, limits, [...owned], [...yielded]]);
    if (because === this.#foreseenBecause) return;
    this.#foreseenBecause = because;
    this.#foreseenRevision = revision;
    this.#foresight.renew(facts, this.#options.memory);
  }

  /** What would be done first with these facts. */
  #actionsFor(facts: HostFacts): readonly HostAction[] {
    const { memory } = this.#options;
    if (!this.#config) return [];
    return reconcileHost(facts, this.#withoutOldLimits(planHost(facts, this.#config, memory)), this.#config, memory);
  }

  /** What went out ahead is done, and the table is not as we left it. */
  #onBatch(): void {
    const { memory, log } = this.#options;
    for (const action of this.#foresight?.given() ?? []) {
      this.#table = undefined;
      this.#unsaved = true;
      memory.owned.add(endpointKey(action.endpoint));
      log.info(`${commandLine(action, (index) => this.nameOf(index))} (went ahead)`);
    }
  }

  /**
   * Puts everything back as it was found, but what connections live by. The kernel's endpoints and limits outlive us and go back
   * too; the daemon's own table ends with it, and taking its endpoints back one by one would only close the subflows.
   */
  restore({ endpoints, inUse }: { readonly endpoints: boolean; readonly inUse: AddressesInUse }): Restored {
    this.#config = undefined;
    // Read anew: of what we have just done the kernel has not told yet.
    this.refresh();
    const facts = this.#facts();
    const { memory } = this.#options;
    // What is gone already, by whomever, is not left to the next start.
    memory.look(facts.endpoints);
    const actions = restoreHost(facts, memory, inUse);
    const ofTable = (action: HostAction): boolean =>
      action.type.startsWith("endpoint.") || action.type === "limits.set";
    const failed = this.#applier.apply(
      endpoints ? actions : actions.filter((action) => !ofTable(action)),
      facts.limits,
    );
    this.#foresight?.withdraw();
    this.#sayWhatStays(endpoints ? [...memory.owned].filter((key) => inUse.bySubflows.has(key as Address)) : []);
    return { isWhole: failed.length === 0, isLeft: failed.length === 0 && memory.leave({ endpoints }) };
  }

  #sayWhatStays(keys: readonly string[]): void {
    if (keys.length === 0) return;
    const what = keys.length === 1 ? `endpoint ${keys[0]} stays` : `endpoints ${keys.join(", ")} stay`;
    this.#options.log.info(`${what}: connections have subflows from there; the next start takes over`);
  }

  /** Limits are set when what is planned changes: what an administrator sets in between is meant, and stays until then. */
  #withoutOldLimits(plan: HostPlan): HostPlan {
    const same =
      plan.limits?.subflows === this.#limits?.subflows &&
      plan.limits?.addAddrAccepted === this.#limits?.addAddrAccepted;
    return same ? { ...plan, limits: undefined } : plan;
  }

  #facts(): HostFacts {
    const { endpoints, capacity } = this.#options;
    const { links, addresses, routes, rules } = this.#model;
    return {
      links,
      addresses,
      routes,
      rules,
      ...(this.#table ?? { endpoints: endpoints.endpoints(), limits: endpoints.limits() }),
      sysctls: this.#sysctls,
      capacity,
    };
  }

  #onChange(change: Change): void {
    if (change === "gain" && this.#settling) {
      this.#waiting = true;
      return;
    }
    // The table is what we left it at, most likely: it is read when there is time for it, not before the first deed.
    this.#correct();
    this.#settling ??= setTimeout(() => this.#onSettled(), this.#settlingTime());
  }

  #settlingTime(): Millis {
    return Math.min(SETTLING_MAX, Math.max(SETTLING, REST * this.#cost));
  }

  #onSettled(): void {
    this.#settling = undefined;
    this.evaluate();
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#settling = setTimeout(() => this.#onSettled(), this.#settlingTime());
  }

  #onAudit(): void {
    this.#sysctls.forget();
    this.evaluate();
    this.#nameRivals();
  }

  /** Endpoints of ours that are not there any more: whoever takes one away again and again shall have it so. */
  #noteRemovals(gone: readonly string[]): void {
    const { memory, now, log } = this.#options;
    for (const key of gone) {
      const times = [...(this.#removals.get(key) ?? []), now()].filter((at) => now() - at < REMOVALS_WINDOW);
      this.#removals.set(key, times);
      if (times.length <= REMOVALS_MAX) {
        log.warn(`endpoint ${key} was removed by somebody else: it is added again`);
        continue;
      }
      memory.yielded.add(key);
      log.warn(`endpoint ${key} was removed ${times.length} times in a minute: it is left to whoever does so`);
    }
  }

  /** Says once, and again when it changed, who else sets endpoints here and how to make it stop. */
  #nameRivals(): void {
    const { memory, log } = this.#options;
    if (!memory.foreign?.size) return;
    const rivals: Rival[] = findRivals();
    const names = rivals.map(({ name, pid }) => `${name} ${pid}`).join();
    if (names === this.#rivals) return;
    this.#rivals = names;
    for (const { name, pid, command } of rivals) {
      log.warn(
        `${name} (process ${pid}) sets MPTCP endpoints here too; theirs are left alone. To turn it off: ${command}`,
      );
    }
  }

  async #nameConnections(): Promise<void> {
    this.#model.setConnectionNames(await connectionNames(this.#model.links));
    this.evaluate();
  }
}

interface Concerned {
  readonly interfaces: ReadonlySet<number>;
  readonly addresses: ReadonlySet<Address>;
}

function concernedBy(endpoints: readonly Pick<Endpoint, "address" | "interfaceIndex">[]): Concerned {
  return {
    interfaces: new Set(endpoints.map(({ interfaceIndex }) => interfaceIndex)),
    addresses: new Set(endpoints.map(({ address }) => address)),
  };
}
