import {
  type Action,
  type Command,
  type ConfigChanged,
  Engine,
  type EngineEvent,
  type GivenValues,
  type Policy,
} from "../engine/index.ts";
import { type HostChange, type HostConfig, type HostFact, pricesOf } from "../host/index.ts";
import { policies as builtIn } from "../policies/index.ts";
import type { Millis } from "../types/index.ts";
import { type Beginning, type Entry, type EventEntry, type FactEntry, kernelOptionsOf } from "./entry.ts";
import { RecordingError } from "./error.ts";
import { type Coming, Estimate } from "./estimate.ts";
import { HostAlternative } from "./host-alternative.ts";
import { Mirrored } from "./mirrored.ts";
import { observedOf } from "./observed.ts";
import type { Damage } from "./reader.ts";

/** Ticks and what comes of them, at one moment. */
const AT_ONCE_MAX = 10_000;

/** What is to be otherwise. */
export interface Otherwise {
  /** How connections are treated; of rules, only where they are given. */
  readonly treatment: Pick<ConfigChanged, "policy" | "given" | "delay" | "rules" | "remoteAddresses"> & {
    readonly policy: string;
    readonly given: GivenValues;
  };
  /** The configuration of the host, from that of then. */
  readonly host: (config: HostConfig, pathManager: Beginning["pathManager"]) => HostConfig;
}

/** Something was asked of the kernel, then or now. */
export interface Deed {
  readonly at: Millis;
  readonly isNow: boolean;
  readonly cause: EngineEvent | HostFact;
  readonly actions: readonly Action[];
  /** Of endpoints and limits. */
  readonly changes: readonly HostChange[];
}

export interface AlternativeOptions {
  readonly otherwise: Otherwise;
  readonly policies?: readonly [Policy, ...Policy[]] | undefined;
  readonly onDeed: (deed: Deed) => void;
  /** Told of each event that the engine of connections is told now. */
  readonly onEvent?: ((event: EngineEvent, at: Millis) => void) | undefined;
}

/**
 * What would have been done under another policy or configuration. What the peer, the network and the applications did stands as it was
 * recorded; what became of subflows that were not opened then is estimated ({@link Estimate}).
 */
export class Alternative {
  readonly #options: AlternativeOptions;
  #life: AlternativeLife | undefined;
  #isBroken = false;

  constructor(options: AlternativeOptions) {
    this.#options = options;
  }

  /** The life at hand; undefined: none has begun. */
  get life(): AlternativeLife | undefined {
    return this.#life;
  }

  /** @throws RecordingError for what no daemon can have written */
  play(entry: Entry | Damage): void {
    if (entry.type === "damage" || entry.type === "lost") {
      this.#isBroken = true;
      return;
    }
    try {
      this.#play(entry);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new RecordingError(`at ${entry.at} ms stands what cannot be played otherwise: ${reason}`, error);
    }
  }

  #play(entry: Exclude<Entry, { type: "lost" }>): void {
    if (entry.type === "begin") {
      if (!this.#isBroken && this.#life?.goesOnIn(entry)) return;
      this.#isBroken = false;
      this.#life = new AlternativeLife(entry, this.#options);
    } else if (entry.type === "event") this.#life?.event(entry);
    else if (entry.type === "fact") this.#life?.fact(entry);
    else if (entry.type === "seen") this.#life?.feed(observedOf(entry.connection), entry.at);
  }
}

/** One daemon as it would have been. */
export class AlternativeLife {
  readonly engine: Engine | undefined;
  readonly #options: AlternativeOptions;
  readonly #host: HostAlternative | undefined;
  readonly #estimate = new Estimate();
  readonly #mirrored: Mirrored | undefined;
  readonly #life: string;
  #part: number;
  #count: number;
  #coming: Coming[] = [];
  /** Commands of then that the host's engine gave, and gives now by itself. */
  readonly #fromHost = new Map<string, number>();
  #requests = 0;
  #cause: HostFact = { type: "compare" };

  constructor(beginning: Beginning, options: AlternativeOptions) {
    this.#options = options;
    const { engine, host, at, life, part } = beginning;
    this.#life = life;
    this.#part = part;
    this.#count = beginning.before;
    if (engine) {
      const { policies = builtIn } = options;
      this.engine = new Engine({ policies, timing: engine.timing, ...kernelOptionsOf(host) });
      this.#mirrored = new Mirrored(this.engine);
    }
    if (host) this.#host = this.#makeHost(host, beginning.pathManager);
    if (host?.config) {
      const fact: HostFact = { type: "configured", config: host.config };
      this.#host?.play({ type: "fact", at, fact, actions: [], recovers: true, sysctls: [] });
    }
    for (const event of engine?.setUp ?? []) {
      const now = this.#otherwise(event);
      if (now) this.feed(now, at);
    }
  }

  /** The next part of the same life: everything is known already. */
  goesOnIn({ life, part, before }: Beginning): boolean {
    if (life !== this.#life || part !== this.#part + 1 || before !== this.#count) return false;
    this.#part = part;
    return true;
  }

  event({ at, event, actions }: EventEntry): void {
    this.#count++;
    if (!this.engine || !this.#mirrored) return;
    this.#pass(at);
    if (actions.length > 0) this.#options.onDeed({ at, isNow: false, cause: event, actions, changes: [] });
    this.#coming.push(...this.#estimate.learn(event, actions, at));
    const translated = this.#mirrored.translate(event);
    this.#mirrored.learn(actions);
    const now = translated && this.#otherwise(translated);
    if (now) this.feed(now, at);
  }

  fact(entry: FactEntry): void {
    this.#count++;
    const { at, fact, actions } = entry;
    this.#pass(at);
    const done = actions.filter(isOfTable);
    if (done.length > 0) this.#options.onDeed({ at, isNow: false, cause: fact, actions: [], changes: done });
    for (const change of done) {
      const key = commandKey(commandOf(change));
      if (key !== undefined) this.#fromHost.set(key, (this.#fromHost.get(key) ?? 0) + 1);
    }
    if (fact.type === "network") this.#estimate.learnAddresses(fact.network.addresses.map(({ address }) => address));
    this.#cause = fact;
    this.#host?.play(entry);
  }

  /** An event, and what follows from it at once. */
  feed(first: EngineEvent, at: Millis): void {
    const { engine } = this;
    if (!engine) return;
    const events = [first];
    for (let left = AT_ONCE_MAX; left > 0; left--) {
      const event = events.shift();
      if (!event) return;
      const actions = engine.handle(event, at);
      this.#options.onEvent?.(event, at);
      if (actions.length > 0) this.#options.onDeed({ at, isNow: true, cause: event, actions, changes: [] });
      for (const action of actions) {
        const { outcome, coming } = this.#answer(action, at);
        if (outcome) events.push(outcome);
        this.#coming.push(...coming);
      }
    }
  }

  #answer(action: Action, at: Millis): ReturnType<Estimate["answer"]> {
    const engine = this.engine as Engine;
    if (action.type === "connection.inspect") {
      const known = engine.connection(action.token);
      return { outcome: known && observedOf(known), coming: [] };
    }
    if (action.type !== "kernel.resync") return this.#estimate.answer(action, at);
    const connections = engine.tokens.flatMap((token) => {
      const known = engine.connection(token);
      const observed = known && observedOf(known);
      return observed?.type === "connection.observed" && observed.observed ? [observed.observed] : [];
    });
    return { outcome: { type: "kernel.snapshot", connections }, coming: [] };
  }

  /** Time goes on to a moment: what would have come by then comes, and what the engine waits for. */
  #pass(until: Millis): void {
    const { engine } = this;
    if (!engine) return;
    for (let left = AT_ONCE_MAX; left > 0; left--) {
      this.#coming.sort((a, b) => a.at - b.at);
      const [next] = this.#coming;
      const tick = engine.nextTick ?? Number.POSITIVE_INFINITY;
      const at = Math.min(next?.at ?? Number.POSITIVE_INFINITY, tick);
      if (at > until) return;
      if (next && next.at <= tick) {
        this.#coming.shift();
        if (this.#isPossible(next)) this.feed(next.event, next.at);
      } else this.feed({ type: "tick" }, at);
    }
  }

  /** A join that was closed, or whose connection was, before it was established. */
  #isPossible({ event, isStill }: Coming): boolean {
    const isKnown = !("token" in event) || this.engine?.connection(event.token) !== undefined;
    return isKnown && (isStill?.() ?? true);
  }

  #otherwise(event: EngineEvent): EngineEvent | undefined {
    const { treatment } = this.#options.otherwise;
    if (event.type === "config.changed")
      return event.policy === undefined && !event.remoteAddresses ? event : { ...event, ...said(treatment) };
    if (event.type === "host.addresses" && this.#host) {
      return { ...event, ...pricesOf(this.#host.plan?.endpoints ?? []) };
    }
    if (event.type !== "command.received" || !this.#host) return event;
    const key = commandKey(event.command);
    const left = key === undefined ? 0 : (this.#fromHost.get(key) ?? 0);
    if (left === 0) return event;
    this.#fromHost.set(key as string, left - 1);
    return undefined;
  }

  #makeHost(beginning: NonNullable<Beginning["host"]>, pathManager: Beginning["pathManager"]): HostAlternative {
    const { engine } = this;
    return new HostAlternative({
      beginning,
      configure: (config) => this.#options.otherwise.host(config, pathManager),
      table: engine && (() => ({ endpoints: engine.endpoints(), limits: engine.limits() })),
      onChange: (change, at) => {
        if (isOfTable(change))
          this.#options.onDeed({ at, isNow: true, cause: this.#cause, actions: [], changes: [change] });
        const command = commandOf(change);
        if (command) this.feed({ type: "command.received", request: ++this.#requests, command }, at);
      },
    });
  }
}

/** Rules, routes and sysctls are in the network as it was recorded: with them the same packets take the same ways. */
function isOfTable(action: FactEntry["actions"][number]): action is HostChange {
  return /^(endpoint|limits)\./.test(action.type);
}

/** What the host's engine asks of the table of the engine of connections; undefined: nothing. */
function commandOf(change: HostChange): Command | undefined {
  switch (change.type) {
    case "endpoint.add": {
      const { address, id, port, flags, interfaceIndex } = change.endpoint;
      return { type: "endpoint.add", address, id, port, flags, interfaceIndex };
    }
    case "endpoint.delete":
      return { type: "endpoint.delete", id: change.id, isLoss: change.isLoss };
    case "endpoint.flags":
      return { type: "endpoint.change", id: change.id, flags: change.flags };
    case "limits.set":
      return { type: "limits.set", ...change.limits };
    default:
      return undefined;
  }
}

/** Names a command among those of a moment. */
function commandKey(command: Command | undefined): string | undefined {
  switch (command?.type) {
    case "endpoint.add":
      return `add ${command.address}`;
    case "endpoint.delete":
      return `delete ${command.id}`;
    case "endpoint.change":
      return `change ${command.id}`;
    case "limits.set":
      return "limits";
    default:
      return undefined;
  }
}

/** Without what is undefined, which says nothing. */
function said<T extends object>(record: T): Partial<T> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Partial<T>;
}
