import {
  type Dbm,
  type Endpoint,
  type Limits,
  type Millis,
  type Path,
  type PathCounts,
  type Token,
  unreachable,
} from "../types/index.ts";
import type { Action } from "./actions.ts";
import { command, configure } from "./admin.ts";
import { TOO_MANY } from "./admission.ts";
import { addressesChanged, endGone, nextGone } from "./away.ts";
import { TABLE_BOUNDS, type TableBounds, TIMING, type Timing } from "./bounds.ts";
import { messageOf } from "./consult.ts";
import type {
  AddressAnnounced,
  AddressRemoved,
  ConfigChanged,
  ConnectionCounted,
  ConnectionEstablished,
  ConnectionMeasured,
  ConnectionOwner,
  EngineEvent,
  PolicyPlanned,
  SubflowClosed,
  SubflowEstablished,
  SubflowPriority,
} from "./events.ts";
import { explainPairs, objectionTo } from "./explain.ts";
import { type Foreseen, Watch, watchedPath, watchedPolicy, watchedRules } from "./foresee.ts";
import { probeIdle } from "./idle.ts";
import {
  announced,
  created,
  due,
  established,
  priority,
  removed,
  subflowClosed,
  subflowEstablished,
} from "./lifecycle.ts";
import { judgeLosses } from "./lossy.ts";
import { note } from "./measure.ts";
import type { Connection } from "./model.ts";
import { inspected, snapshotTaken } from "./observe.ts";
import { done, failed } from "./outcome.ts";
import { arm, consider, networkChanged, planned, tellKept } from "./plan.ts";
import type { LeftOut, Policy } from "./policy.ts";
import { show } from "./show.ts";
import { boundsOf, signalsChanged } from "./signals.ts";
import { judgeSilence } from "./silence.ts";
import type { ConnectionExplanation, ConnectionSnapshot, EngineSnapshot } from "./snapshot.ts";
import { State } from "./state.ts";
import { EndpointTable } from "./table.ts";
import { Timers } from "./timers.ts";
import { chooseTreatments, ownerKnown, remotesChanged } from "./treat.ts";
import { Treatment } from "./treatment.ts";
import { opensAtOf } from "./waiting.ts";

const NO_ACTIONS: readonly Action[] = Object.freeze([]);

/** What an engine is made of. */
export interface EngineOptions {
  /** The first one is in charge until `config.changed` names another. */
  readonly policies: readonly [Policy, ...Policy[]];
  /** What the running kernel's table takes; default: Linux 6.18's 8 and 8. */
  readonly table?: TableBounds | undefined;
  readonly timing?: Partial<Timing> | undefined;
  /** SUBFLOW_CREATE opens every subflow as a normal one (Linux 6.1): backup is asked for when it is there. */
  readonly createsNoBackup?: boolean | undefined;
}

/** One connection to be looked at. */
export interface Watched {
  readonly token: Token;
  readonly subflows: readonly { readonly path: Path; readonly interfaceIndex: number }[];
}

/** The path manager of one network namespace: events in, actions out. No I/O, no clock: `now` is an argument. */
export class Engine {
  readonly #state: State;

  constructor(options: EngineOptions) {
    this.#state = new State({
      table: new EndpointTable(options.table ?? TABLE_BOUNDS),
      timing: { ...TIMING, ...options.timing },
      timers: new Timers<Connection>(),
      policies: options.policies,
      treatment: new Treatment({ policy: options.policies[0] }),
      createsNoBackup: options.createsNoBackup,
    });
  }

  /** Takes one event and returns what is to be done now, in order; see events.ts and actions.ts. `now` never goes back. */
  handle(event: EngineEvent, now: Millis): readonly Action[] {
    const state = this.#state;
    state.now = now;
    state.counters.events++;
    this.#dispatch(event);
    if (state.kept.length > 0) tellKept(state);
    if (state.actions.length === 0) return NO_ACTIONS;
    const actions = state.actions;
    state.actions = [];
    return actions;
  }

  /**
   * What {@link handle} would answer to the establishment of a connection it has not heard of; changes nothing. Good as long as
   * {@link revision} is the same, for every connection of the same side, local address and families, and of the same values of what
   * it says it was decided by.
   */
  foresee(event: ConnectionEstablished): Foreseen {
    const { table, timing, treatment, costs, interfaceNames, signals, rules } = this.#state;
    const watch = new Watch();
    const watched = treatment.under(watchedPolicy(treatment.policy, watch));
    const state = new State({ table, timing, timers: new Timers<Connection>(), treatment: watched });
    state.interfaceNames = interfaceNames;
    state.costs = costs;
    state.signals = signals;
    state.rules = rules && watchedRules(rules, watch);
    established(state, { ...event, path: watchedPath(event.path, watch) });
    return { actions: watch.seen.has("itself") ? NO_ACTIONS : state.actions, because: watch.seen };
  }

  /** Another number whenever new connections may be treated otherwise than before: endpoints, limits, policy. */
  get revision(): number {
    return this.#state.treatmentChanges + this.#state.table.revision;
  }

  /** When to call `handle({ type: "tick" }, now)`; undefined: not before another event. O(1). */
  get nextTick(): Millis | undefined {
    const { timers, resyncAt } = this.#state;
    return earliest(timers.next, earliest(resyncAt, nextGone(this.#state)));
  }

  /** The endpoint table in order of ids, as `endpoint show` lists it. */
  endpoints(): readonly Endpoint[] {
    return this.#state.table.list.toSorted((a, b) => a.id - b.id);
  }

  /** The limits, as `limits show` prints them. */
  limits(): Limits {
    return this.#state.table.limits;
  }

  /** Name of the policy of connections that no rule is for. */
  get policy(): string {
    return this.#state.treatment.policy.name;
  }

  /** That policy brings lost subflows back: what it wishes and has not is tried again. */
  get triesAgain(): boolean {
    return this.#state.treatment.triesAgain;
  }

  /** How many connections have more than one subflow, and may be looked at. */
  get watchedCount(): number {
    return this.#state.watch.size;
  }

  /** How often connections are to be measured, by the policy that asks for most; Infinity: none asks. */
  get measures(): Millis {
    return this.#state.watch.measures;
  }

  /** Bounds of Wi-Fi signals that some connection's policy wants to hear of (`host.signals`); none: they need not be read. */
  get signals(): ReadonlySet<Dbm> {
    return boundsOf(this.#state);
  }

  /** How many connections have a policy that looks at signals. O(1). */
  get attentiveCount(): number {
    return this.#state.attentive.size;
  }

  /** Something is in doubt: who looks again soon may find out. */
  get isInDoubt(): boolean {
    return this.#state.watch.isInDoubt;
  }

  /** The next connections to be looked at, with where their subflows are; `connection.measured` is the answer. */
  watched(max: number): readonly Watched[] {
    return this.#state.watch.take(max).map(watchedOf);
  }

  /** How many connections get further subflows when they have carried enough; 0: nothing needs to be counted. */
  get waitingCount(): number {
    return this.#state.waiting.size;
  }

  /** How many have begun to wait for that, ever: another number, and there is a new one. */
  get waitingAdded(): number {
    return this.#state.waiting.added;
  }

  /** The next of those, with where their subflows are; `connection.counted` is the answer. */
  waiting(max: number): readonly (Watched & { readonly moved: number })[] {
    return this.#state.waiting.take(max).map((connection) => ({ ...watchedOf(connection), moved: connection.moved }));
  }

  /** Of all connections. */
  get tokens(): readonly Token[] {
    return Array.from(this.#state.connections.values(), ({ token }) => token);
  }

  get connectionCount(): number {
    return this.#state.connections.size;
  }

  /** One connection; undefined: unknown. */
  connection(token: Token): ConnectionSnapshot | undefined {
    const connection = this.#state.connections.get(token);
    return connection && show(connection);
  }

  /** One connection with the reason for everything that it could have and has not; undefined: unknown. */
  why(token: Token, now: Millis): ConnectionExplanation | undefined {
    // What is left of a wait counts from here, not from the last event.
    this.#state.now = Math.max(this.#state.now, now);
    const connection = this.#state.connections.get(token);
    if (!connection) return undefined;
    const shown = show(connection);
    try {
      const subflows = shown.subflows.map((subflow) => ({ ...subflow, ...objectionTo(connection, subflow) }));
      return {
        connection: { ...shown, subflows },
        leftOut: [...this.#explain(connection), ...this.#refused(connection)],
      };
    } catch (error) {
      return { connection: { ...shown, planRefused: shown.planRefused || messageOf(error) }, leftOut: [] };
    }
  }

  /** What a policy does once only it can explain; what it wishes persistently is explained pair by pair. */
  #explain(connection: Connection): readonly LeftOut[] {
    const { policy } = connection.treatment;
    if (policy.tries === "once") return policy.explain?.(connection, connection.memory) ?? [];
    return explainPairs(this.#state, connection);
  }

  /** What was announced and no policy may use. */
  #refused(connection: Connection): LeftOut[] {
    return connection.remotes
      .filter(({ state }) => state === "refused")
      .map(({ id, address }) => {
        const fault = this.#state.admission.fault(connection, address) ?? TOO_MANY;
        return { what: "remote", id, address, ...fault };
      });
  }

  /** What became of paths. */
  get pathCounts(): PathCounts {
    const { counters, recoveries } = this.#state;
    const { silent, probes, quarantines } = counters;
    return { silent, probes, quarantines, recoveries: recoveries.counts };
  }

  /** Everything. */
  snapshot(): EngineSnapshot {
    const { connections, counters, treatment } = this.#state;
    return {
      policy: treatment.text,
      endpoints: this.endpoints(),
      limits: this.limits(),
      counters: { ...counters },
      connections: Array.from(connections.values(), show),
    };
  }

  /**
   * The only place that looks at an event's type: what it means is in the functions it names. Events of unknown connections are late
   * or never ours: nothing is concluded from them. No closure, which would be made anew for each event.
   */
  #dispatch(event: EngineEvent): void {
    const state = this.#state;
    const { connections } = state;
    let known: Connection | undefined;
    switch (event.type) {
      case "connection.created":
        created(state, event);
        return;
      case "connection.established":
        established(state, event);
        return;
      case "connection.closed":
        forgetKnown(state, event.token);
        return;
      case "subflow.established":
      case "subflow.closed":
      case "subflow.priority":
      case "address.announced":
      case "address.removed":
      case "connection.owner":
      case "policy.planned":
        known = connections.get(event.token);
        if (known) ofConnection(state, known, event);
        return;
      case "kernel.overrun":
        this.#overrun();
        return;
      case "kernel.snapshot":
        snapshotTaken(state, event.connections);
        return;
      case "connection.observed":
        if (event.observed) inspected(state, event.observed);
        else forgetKnown(state, event.token);
        return;
      case "connection.measured":
        this.#measured(event);
        return;
      case "connection.counted":
        counted(state, event);
        return;
      case "action.done":
        done(state, event.action, event.source);
        return;
      case "action.failed":
        failed(state, event);
        return;
      case "command.received":
        command(state, event.request, event.command);
        return;
      case "config.changed":
        this.#configure(event);
        return;
      case "host.addresses":
        addressesChanged(state, event);
        return;
      case "host.signals":
        signalsChanged(state, event.signals);
        return;
      case "policies.changed":
        remotesChanged(state, event);
        return;
      case "network.changed":
        networkChanged(state);
        return;
      case "tick":
        this.#tick();
        return;
      default:
        unreachable(event);
        return;
    }
  }

  #measured(event: ConnectionMeasured): void {
    const state = this.#state;
    const connection = state.connections.get(event.token);
    if (!connection?.owned || !connection.treatment.triesAgain) return;
    note(connection, event);
    state.watch.doubt(connection, judgeSilence(state, connection, event.isQuiet));
    probeIdle(state, connection);
    judgeLosses(state, connection, event.outstanding);
    if (connection.treatment.measures !== undefined) consider(state, connection, { type: "measured" });
    else arm(state, connection);
  }

  #configure(event: ConfigChanged): void {
    const state = this.#state;
    chooseTreatments(state, event);
    if (event.remoteAddresses) state.admission.setRules(event.remoteAddresses);
    configure(state, event);
  }

  #overrun(): void {
    const state = this.#state;
    state.counters.overruns++;
    const earliest = state.resyncedAt + state.timing.resyncPace;
    if (state.now >= earliest) state.act({ type: "kernel.resync" });
    else state.resyncAt = earliest;
  }

  #tick(): void {
    const state = this.#state;
    if (state.resyncAt !== undefined && state.resyncAt <= state.now) {
      state.resyncAt = undefined;
      state.act({ type: "kernel.resync" });
    }
    endGone(state);
    for (let late = state.timers.pop(state.now); late; late = state.timers.pop(state.now)) {
      due(state, late, state.now);
      arm(state, late);
    }
  }
}

type ConnectionEvent =
  | SubflowEstablished
  | SubflowClosed
  | SubflowPriority
  | AddressAnnounced
  | AddressRemoved
  | ConnectionOwner
  | PolicyPlanned;

/** What happens to a connection that is known. */
function ofConnection(state: State, known: Connection, event: ConnectionEvent): void {
  switch (event.type) {
    case "subflow.established":
      return subflowEstablished(state, known, event);
    case "subflow.closed":
      return subflowClosed(state, known, event);
    case "subflow.priority":
      return priority(known, event);
    case "address.announced":
      return announced(state, known, event);
    case "address.removed":
      return removed(state, known, event.remoteId);
    case "connection.owner":
      return ownerKnown(state, known, event.owner);
    case "policy.planned":
      return planned(state, known, event);
  }
}

function watchedOf({ token, subflows }: Connection): Watched {
  return { token, subflows: subflows.filter(({ state }) => state === "established") };
}

/** What waited for that gets its subflows. */
function counted(state: State, { token, bytes }: ConnectionCounted): void {
  const connection = state.connections.get(token);
  if (!connection) return;
  connection.moved = bytes;
  if (opensAtOf(connection) > state.now) return;
  state.waiting.delete(connection);
  consider(state, connection, { type: "wake" });
}

function earliest(one: Millis | undefined, other: Millis | undefined): Millis | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}

function forgetKnown(state: State, token: Token): void {
  const known = state.connections.get(token);
  if (known) state.forget(known);
}
