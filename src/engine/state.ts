import type { Address, Dbm, Endpoint, Millis } from "../types/index.ts";
import type { Action, ActionId } from "./actions.ts";
import { Admission } from "./admission.ts";
import type { Timing } from "./bounds.ts";
import { ByToken } from "./by-token.ts";
import type { Command } from "./commands.ts";
import type { Connection } from "./model.ts";
import { Paths } from "./paths.ts";
import type { Policy } from "./policy.ts";
import { Recoveries } from "./recoveries.ts";
import type { RemotePolicy } from "./remote/plain.ts";
import type { EngineCounters } from "./snapshot.ts";
import type { EndpointTable } from "./table.ts";
import type { Timers } from "./timers.ts";
import type { CompiledRules, Treatment } from "./treatment.ts";
import { Waiting } from "./waiting.ts";
import { Watchlist } from "./watchlist.ts";

/** `Omit` over a union keeps its members apart. */
type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;

/** A port endpoint whose listener is being opened; `request` is its asker's. */
export interface Opening {
  readonly request: number;
  readonly command: Extract<Command, { type: "endpoint.add" }>;
  readonly configured: boolean;
}

/** What the parts of the engine share: its memory, the time of the event at hand, and the actions it has led to so far. */
export class State {
  readonly table: EndpointTable;
  readonly timing: Timing;
  readonly connections = new ByToken<Connection>();
  readonly timers: Timers<Connection>;
  readonly admission = new Admission();
  readonly watch = new Watchlist();
  readonly waiting = new Waiting();
  readonly paths = new Paths();
  readonly recoveries = new Recoveries();
  /** Subflows that stay although they were to be closed: their policy is to be told before it is asked anything else. */
  kept: { readonly connection: Connection; readonly endpoint: Endpoint }[] = [];
  readonly openings = new Map<ActionId, Opening>();
  /** Endpoints that came from the configuration, by id. */
  readonly configured = new Set<number>();
  /** Local addresses where what is sent costs money. */
  metered: ReadonlySet<Address> = new Set();
  /** What it costs to send from local addresses; those not named: nothing. */
  costs: ReadonlyMap<Address, number> = new Map();
  /** Names of this host's interfaces by their addresses. */
  interfaceNames: ReadonlyMap<Address, string> = new Map();
  /** How strong its Wi-Fi interfaces receive, by their addresses, as far as is known. */
  signals: ReadonlyMap<Address, Dbm> = new Map();
  /** Connections whose policy looks at them. */
  readonly attentive = new Set<Connection>();
  /** Of connections that no rule is for. */
  treatment: Treatment;
  /** How those are that a rule is for; undefined: there are no rules. */
  rules: CompiledRules | undefined = undefined;
  /** Counts changes of how new connections are treated. */
  treatmentChanges = 0;
  /** What is to be backup is made so after its establishment. */
  readonly createsNoBackup: boolean;
  policies: readonly Policy[];
  /** Those of them that are in other processes, by name. */
  remotes: ReadonlyMap<string, RemotePolicy> = new Map();
  now: Millis = 0;
  /** When the last snapshot came in, and when to ask for the next because events were lost since. */
  resyncedAt: Millis = Number.NEGATIVE_INFINITY;
  resyncAt: Millis | undefined = undefined;
  actions: Action[] = [];
  readonly counters: EngineCounters = {
    events: 0,
    actions: 0,
    connections: 0,
    failures: 0,
    overruns: 0,
    resyncs: 0,
    bounded: 0,
    refusedPlans: 0,
    silent: 0,
    probes: 0,
    quarantines: 0,
  };

  constructor(parts: {
    table: EndpointTable;
    timing: Timing;
    timers: Timers<Connection>;
    treatment: Treatment;
    policies?: readonly Policy[];
    createsNoBackup?: boolean | undefined;
  }) {
    this.table = parts.table;
    this.timing = parts.timing;
    this.timers = parts.timers;
    this.treatment = parts.treatment;
    this.policies = parts.policies ?? [];
    this.createsNoBackup = parts.createsNoBackup ?? false;
  }

  /** Adds an action to what this event leads to; returns its id. */
  act(action: WithoutId<Action>): ActionId {
    const id = ++this.counters.actions;
    this.actions.push({ id, ...action } as Action);
    return id;
  }

  /** Forgets a connection: it is closed, or not ours to remember. */
  forget(connection: Connection): void {
    this.timers.set(connection, undefined);
    this.watch.delete(connection);
    this.waiting.delete(connection);
    this.attentive.delete(connection);
    this.connections.delete(connection.token);
  }
}
