import {
  type HostAction,
  type HostChange,
  type HostConfig,
  HostEngine,
  type HostFact,
  Memory,
  type Network,
  type Table,
} from "../host/index.ts";
import { ENDPOINT_FLAG, type Endpoint, type Millis } from "../types/index.ts";
import type { FactEntry, HostBeginning } from "./entry.ts";

/** A plan is corrected, read, corrected; it comes to rest sooner. */
const ROUNDS_MAX = 1000;

export interface HostAlternativeOptions {
  readonly beginning: HostBeginning;
  readonly configure: (config: HostConfig) => HostConfig;
  /** The table of the engine of connections; undefined: the kernel's. */
  readonly table: (() => Table) | undefined;
  /** A change was made: of endpoints and limits the engine of connections is told. */
  readonly onChange: (change: HostChange, at: Millis) => void;
}

/** The engine of a host under another configuration, in the network that was recorded. */
export class HostAlternative {
  readonly #options: HostAlternativeOptions;
  readonly #engine: HostEngine;
  readonly #sysctls: Map<string, string | undefined>;
  #network: Network | undefined;
  /** The kernel's, as our changes have left it. */
  #table: Table = { endpoints: [], limits: { subflows: 2, addAddrAccepted: 0 } };
  /** Endpoints that we had then, which are not ours now. */
  readonly #ours = new Set<string>();
  #waiting: HostFact[] = [];
  #recovers = true;
  #isKnown = false;

  constructor(options: HostAlternativeOptions) {
    this.#options = options;
    const { saved, capacity, closesSubflows, sysctls } = options.beginning;
    this.#sysctls = new Map(sysctls);
    const memory = new Memory({ ...saved, owned: [] });
    this.#engine = new HostEngine({ memory, capacity, closesSubflows, recovers: () => this.#recovers });
    for (const key of saved.owned) this.#ours.add(key.split(" ")[0] ?? key);
  }

  get plan(): HostEngine["plan"] {
    return this.#engine.plan;
  }

  /** What was recorded. Played when the network is known as it was then. */
  play({ at, fact, actions, recovers, sysctls }: FactEntry): void {
    for (const [name, value] of sysctls) this.#sysctls.set(name, value);
    this.#recovers = recovers;
    for (const action of actions) if (action.type === "endpoint.add") this.#ours.add(action.endpoint.address);
    switch (fact.type) {
      case "network":
        this.#network = fact.network;
        break;
      case "table":
        if (!this.#options.table) this.#learnTable(fact);
        break;
      case "configured":
        this.#waiting.push({ type: "configured", config: this.#options.configure(fact.config) });
        break;
      case "network.changed":
      case "compare":
      case "events":
        this.#waiting.push(fact);
        break;
      default:
        // Answers to its own questions, its own clock, and its end.
        break;
    }
    const isReady = this.#network && (this.#isKnown || this.#options.table);
    if (isReady && (fact.type === "network" || fact.type === "table")) this.#run(at);
  }

  #run(at: Millis): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const fact of waiting) this.#feed(fact, at);
    if ((this.#engine.nextTick ?? Number.POSITIVE_INFINITY) <= at) this.#feed({ type: "tick" }, at);
  }

  #feed(first: HostFact, at: Millis): void {
    const facts = [first];
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const fact = facts.shift();
      if (!fact) return;
      const made: HostChange[] = [];
      for (const action of this.#engine.handle(fact, at)) {
        const answer = this.#answer(action);
        if (answer) facts.push(answer);
        else if (isChange(action)) made.push(action);
      }
      for (const change of made) this.#make(change, at);
      if (made.length > 0) facts.push({ type: "done", errnos: made.map(() => 0) });
    }
  }

  #answer(action: HostAction): HostFact | undefined {
    switch (action.type) {
      case "network.read":
        return { type: "network", network: { ...(this.#network as Network), sysctls: this.#read } };
      case "table.read":
        return { type: "table", ...(this.#options.table?.() ?? this.#table) };
      case "connections.read":
        return { type: "connections", connections: [], cost: 0 };
      case "rivals.find":
        return { type: "rivals", rivals: [] };
      default:
        return undefined;
    }
  }

  readonly #read = { get: (name: string): string | undefined => this.#sysctls.get(name) };

  #make(change: HostChange, at: Millis): void {
    switch (change.type) {
      case "sysctl.set":
        this.#sysctls.set(change.name, change.value);
        break;
      case "endpoint.add":
        this.#putEndpoint(change.endpoint);
        break;
      case "endpoint.delete":
        this.#table = { ...this.#table, endpoints: this.#table.endpoints.filter(({ id }) => id !== change.id) };
        break;
      case "endpoint.flags":
        this.#table = {
          ...this.#table,
          endpoints: this.#table.endpoints.map((each) =>
            each.id === change.id ? { ...each, flags: change.flags } : each,
          ),
        };
        break;
      case "limits.set":
        this.#table = { ...this.#table, limits: change.limits };
        break;
      default:
        // Rules and routes of the recording stand: with them the same packets take the same ways.
        break;
    }
    this.#options.onChange(change, at);
  }

  #putEndpoint(endpoint: Omit<Endpoint, "id"> & { readonly id: number }): void {
    const { address, port, flags, interfaceIndex } = endpoint;
    const used = new Set(this.#table.endpoints.map(({ id }) => id));
    let id = endpoint.id;
    for (id ||= 1; used.has(id); id++);
    const made: Endpoint = { id, address, port, flags, interfaceIndex };
    this.#table = { ...this.#table, endpoints: [...this.#table.endpoints, made] };
  }

  /** What others set then is there now too; what we set is not. */
  #learnTable({ endpoints, limits }: Table): void {
    const isTheirs = ({ address, flags }: Endpoint): boolean =>
      !this.#ours.has(address) && !(flags & ENDPOINT_FLAG.implicit);
    const known = new Set(this.#table.endpoints.map(({ address }) => address));
    const theirs = endpoints.filter((each) => isTheirs(each) && !known.has(each.address));
    this.#table = {
      endpoints: [...this.#table.endpoints, ...theirs],
      limits: this.#isKnown ? this.#table.limits : limits,
    };
    this.#isKnown = true;
  }
}

function isChange(action: HostAction): action is HostChange {
  return !/^(say|state\.save|sysctls\.forget|blackhole\.forget)$|\.(read|find)$/.test(action.type);
}
