import { type HostEngine, type Memory, type Network, REST } from "../../host/index.ts";
import { type NetworkModel, Pace, type Sysctls } from "../../host-facts/index.ts";
import type { AnswerCounts } from "../../netlink/index.ts";
import type { Millis } from "../../types/index.ts";
import { type Route, RT_TABLE, RTN } from "../../wire/index.ts";
import type { EndpointPort } from "./endpoint-port.ts";
import { HostForesight } from "./foresight.ts";

/** Foreseeing is a plan for each link: on hosts with more of everything than this, who hears of a change plans for it then. */
const FORESEEABLE_MAX = 512;

export interface ForeseerOptions {
  readonly engine: HostEngine;
  readonly model: NetworkModel;
  readonly sysctls: Sysctls;
  /** As it is now. */
  readonly network: () => Network;
  readonly memory: Memory;
  readonly requests: NonNullable<EndpointPort["requests"]>;
  readonly now: () => Millis;
}

/** Keeps what the host foresees in step with what it knows: withdrawn when that changes, thought over when there is time. */
export class Foreseer implements Disposable {
  readonly #options: ForeseerOptions;
  readonly #foresight: HostForesight;
  readonly #renewing: Pace;
  /** Default routes as they were there last, by family and interface: one that was lost comes again as it was, most often. */
  readonly #defaults = new Map<string, Route>();
  /** What was foreseen follows from this. */
  #because: string | undefined;
  #revision = -1;
  #losses = -1;

  constructor(options: ForeseerOptions) {
    this.#options = options;
    const { engine, model, requests, now } = options;
    this.#foresight = new HostForesight(model.subscription, requests, (facts) => engine.foresee(facts));
    this.#renewing = new Pace({ now, rest: REST, run: () => this.#renew() });
  }

  [Symbol.dispose](): void {
    this.#renewing[Symbol.dispose]();
    this.#foresight[Symbol.dispose]();
  }

  get counts(): AnswerCounts {
    return this.#foresight.counts;
  }

  given(): ReturnType<HostForesight["given"]> {
    return this.#foresight.given();
  }

  /** What was foreseen is for a host that still has its paths: a loss that is in no haste makes it untrue at once, too. */
  doubt(): void {
    if (this.#options.model.losses !== this.#losses) this.#foresight.withdraw();
  }

  withdraw(): void {
    this.#foresight.withdraw();
  }

  /** Something changed that is not looked at when it is asked whether all is as it was: the configuration. */
  forget(): void {
    this.#because = undefined;
  }

  /** While changes come one after the other, nothing is foreseen: each would make untrue what was foreseen before it. */
  renewSoon(): void {
    if (this.#options.model.revision !== this.#revision) this.#foresight.withdraw();
    this.#renewing.ask();
  }

  #renew(): void {
    const { engine, model, network, sysctls, memory } = this.#options;
    const { facts } = engine;
    const { addresses, links, routes, revision, losses } = model;
    if (!facts) return;
    if (addresses.length + links.length + routes.length > FORESEEABLE_MAX) return this.#foresight.withdraw();
    const { endpoints, limits } = facts;
    const { owned, yielded } = memory;
    // The model has a number for what is large; whoever thinks it all over for nothing is late for what happens meanwhile.
    const because = JSON.stringify([revision, sysctls.revision, endpoints, limits, [...owned], [...yielded]]);
    if (because === this.#because) return;
    this.#because = because;
    this.#revision = revision;
    this.#losses = losses;
    this.#foresight.renew({ ...facts, ...network() }, memory, this.#lostDefaults());
  }

  /** Those that are not there now, of interfaces that are; remembers those that are there. */
  #lostDefaults(): readonly Route[] {
    const { links, routes } = this.#options.model;
    const there = new Set<string>();
    for (const route of routes) {
      if (route.destinationLength !== 0 || route.table !== RT_TABLE.MAIN || route.type !== RTN.UNICAST) continue;
      const key = `${route.family} ${route.outputInterface}`;
      there.add(key);
      this.#defaults.set(key, route);
    }
    const indexes = new Set(links.map(({ index }) => index));
    for (const [key, { outputInterface }] of this.#defaults)
      if (!indexes.has(outputInterface)) this.#defaults.delete(key);
    return [...this.#defaults].flatMap(([key, route]) => (there.has(key) ? [] : [route]));
  }
}
