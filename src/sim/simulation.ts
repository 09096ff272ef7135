import {
  type Action,
  Engine,
  type EngineEvent,
  type Policy,
  Pump,
  type Rule,
  TIMING,
  type Timing,
} from "../engine/index.ts";
import type { Millis } from "../types/index.ts";
import { BrokenLaw, Checkers, checkAnnouncements, checkConnection, checkPicture } from "./checkers.ts";
import { Peer } from "./peer.ts";
import { Random } from "./random.ts";
import { readingOf } from "./readings.ts";
import { World } from "./world.ts";

/** Probabilities, per event or per outcome, of what goes wrong. */
export interface Faults {
  /** An event is lost without a word. */
  readonly lose: number;
  /** An event comes twice. */
  readonly repeat: number;
  /** Two events of different connections change places. */
  readonly swap: number;
  /** The queue runs over: all of it is lost, and that is known (ENOBUFS). */
  readonly overrun: number;
  /** An outcome comes after events that happened since. */
  readonly late: number;
  /** The daemon is killed and started again. */
  readonly restart: number;
  /** The kernel takes an id for itself between two of our commands. */
  readonly grabId: number;
}

/** Everything that has been seen to go wrong on real systems, a few times in a thousand. */
export const FAULTS: Faults = {
  lose: 0.003,
  repeat: 0.01,
  swap: 0.02,
  overrun: 0.001,
  late: 0.02,
  restart: 0.0005,
  grabId: 0.002,
};

/** Nothing goes wrong. */
export const NO_FAULTS: Faults = { lose: 0, repeat: 0, swap: 0, overrun: 0, late: 0, restart: 0, grabId: 0 };

/** A run to be made. */
export interface SimulationOptions {
  readonly seed: number;
  /** Steps of the world; each leads to a handful of events. */
  readonly steps: number;
  readonly policies: readonly [Policy, ...Policy[]];
  readonly faults?: Partial<Faults> | undefined;
  readonly timing?: Partial<Timing> | undefined;
  /** How connections are treated, by rules; the first policy is for the others. */
  readonly rules?: readonly Rule[] | undefined;
  /** Lines of transcript kept for a failure. */
  readonly keep?: number | undefined;
  /** The policies open more than one subflow of a pair: that a restart opens none twice cannot be told then. */
  readonly severalPerPair?: boolean | undefined;
  /** As on Linux 6.1: what is created is no backup, until that is asked for afterwards. */
  readonly createsNoBackup?: boolean | undefined;
  /** Told of each engine that begins, and of all that it is told and answers. */
  readonly observer?: SimulationObserver | undefined;
}

/** Follows a run. */
export interface SimulationObserver {
  onBegin(now: Millis): void;
  onEvent(event: EngineEvent, actions: readonly Action[], now: Millis): void;
}

/** What a run has done. */
export interface SimulationResult {
  readonly events: number;
  readonly actions: number;
  readonly connections: number;
  readonly restarts: number;
  readonly calms: number;
  /** Connections of which a plan was refused. */
  readonly reports: number;
  /** ADD_ADDRs that came to the peer while it served another. */
  readonly announcementsDropped: number;
}

/** A law was broken: the seed repeats it, the transcript shows it. */
export class SimulationError extends Error {
  override readonly name: string = "SimulationError";
  readonly seed: number;
  readonly transcript: readonly string[];
  constructor(message: string, seed: number, transcript: readonly string[], cause: unknown) {
    super(`${message} (seed ${seed}; run again with --seed ${seed})`, { cause });
    this.seed = seed;
    this.transcript = transcript;
  }
}

/** Runs an engine against a simulated kernel, peer and administrator, and checks the laws after each event. */
export function simulate(options: SimulationOptions): SimulationResult {
  const run = new Simulation(options);
  try {
    return run.run(options.steps);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new SimulationError(message, options.seed, run.transcript, error);
  }
}

/** How often everything is brought to rest and the pictures are compared. */
const CALM_EVERY = 400;

/** A tick may lead to what wants another at the same moment, but not without end. */
const TICKS_AT_ONCE_MAX = 100;

class Simulation {
  /** Words, or a thing of the engine, which is written out for a failure only: most runs have none. */
  readonly #noted: { readonly words: string; readonly thing?: EngineEvent | Action }[] = [];
  readonly #options: SimulationOptions;
  readonly #faults: Faults;
  readonly #timing: Timing;
  readonly #random: Random;
  readonly #world: World;
  readonly #checkers: Checkers;
  readonly #peer: Peer;
  /** A generator of its own: what is measured changes nothing of what else happens. */
  readonly #figures: Random;
  readonly #pump = new Pump(
    { handle: (event) => this.#step(event) },
    {
      run: (actions) => this.#run(actions),
      now: () => this.#now,
      onCut: () => {
        throw new BrokenLaw("what an event leads to comes to an end");
      },
    },
  );
  #engine: Engine;
  #isRestarting = false;
  #now: Millis = 0;
  #late: EngineEvent[] = [];
  #calm = false;
  #requests = 0;
  readonly #result = {
    events: 0,
    actions: 0,
    connections: 0,
    restarts: 0,
    calms: 0,
    reports: 0,
    announcementsDropped: 0,
  };

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#faults = { ...FAULTS, ...options.faults };
    this.#timing = { ...TIMING, ...options.timing };
    this.#random = new Random(options.seed);
    this.#world = new World(this.#random);
    this.#checkers = new Checkers(this.#timing);
    // A seed of its own: how long packets take changes nothing of what else happens.
    this.#peer = new Peer(new Random(~options.seed));
    this.#figures = new Random(Math.imul(options.seed, 2654435761));
    this.#world.kernel.createsNoBackup = options.createsNoBackup ?? false;
    this.#engine = this.#newEngine();
  }

  #newEngine(): Engine {
    const { policies, timing, createsNoBackup } = this.#options;
    return new Engine({ policies, timing, createsNoBackup });
  }

  run(steps: number): SimulationResult {
    this.#options.observer?.onBegin(this.#now);
    this.#configure();
    for (let step = 1; step <= steps; step++) {
      this.#world.step();
      if (this.#random.chance(0.03)) this.#command();
      this.#read();
      if (this.#figures.chance(0.3)) this.#measure();
      this.#pass(this.#world.pause());
      if (this.#random.chance(this.#faults.restart)) this.#restart();
      if (this.#random.chance(this.#faults.grabId)) this.#grabId();
      if (step % CALM_EVERY === 0 || step === steps) this.#rest();
    }
    return this.#result;
  }

  #command(): void {
    this.#handle({ type: "command.received", request: ++this.#requests, command: this.#world.command() });
  }

  /** Somebody looks at the connections: their paths carry data, have gone silent, lose, or were idle for long. */
  #measure(): void {
    for (const { token } of this.#engine.watched(8)) {
      const connection = this.#world.kernel.connections.get(token);
      if (connection) this.#handle(readingOf(connection, this.#figures, this.#now));
    }
    for (const { token, moved } of this.#engine.waiting(8))
      this.#handle({ type: "connection.counted", token, bytes: moved + this.#figures.below(4000) });
  }

  /** The event socket is read, with what may go wrong there. */
  #read(): void {
    const { kernel } = this.#world;
    if (this.#fault("overrun")) {
      kernel.events = [];
      this.#handle({ type: "kernel.overrun" });
    }
    while (kernel.events.length > 0 || this.#late.length > 0) {
      const events = kernel.events;
      const [first, second] = events;
      if (
        first &&
        second &&
        "token" in first &&
        "token" in second &&
        first.token !== second.token &&
        this.#fault("swap")
      ) {
        events.splice(0, 2, second, first);
      }
      const event = events.shift();
      if (event && !this.#fault("lose")) {
        this.#handle(event);
        if (this.#fault("repeat")) this.#handle(event);
      }
      const outcome = this.#late.shift();
      if (outcome) this.#handle(outcome);
    }
  }

  #fault(kind: keyof Faults): boolean {
    return !this.#calm && this.#random.chance(this.#faults[kind]);
  }

  /** Time passes, tick by tick as the engine wants them. */
  #pass(duration: Millis): void {
    const until = this.#now + duration;
    let atOnce = 0;
    for (;;) {
      const next = this.#engine.nextTick;
      if (next === undefined || next > until) break;
      atOnce = next > this.#now ? 0 : atOnce + 1;
      if (atOnce > TICKS_AT_ONCE_MAX) throw new BrokenLaw("ticks let time go on");
      this.#now = Math.max(this.#now, next);
      this.#handle({ type: "tick" });
    }
    this.#now = until;
  }

  #handle(event: EngineEvent): void {
    this.#pump.feed(event);
  }

  /** One event, with everything that must be true of what the engine answers. */
  #step(event: EngineEvent): readonly Action[] {
    this.#note(`${this.#now} `, event);
    this.#result.events++;
    this.#checkers.saw(event);
    const actions = this.#engine.handle(event, this.#now);
    this.#options.observer?.onEvent(event, actions, this.#now);
    if (event.type === "kernel.snapshot" && this.#isRestarting) {
      for (const action of actions) if (action.type === "subflow.create") this.#mustBeNew(action);
    }
    this.#checkers.acted(actions);
    if ("token" in event) checkConnection(this.#engine.connection(event.token));
    return actions;
  }

  #run(actions: readonly Action[]): EngineEvent[] {
    const outcomes: EngineEvent[] = [];
    for (const action of actions) {
      this.#note("  -> ", action);
      this.#result.actions++;
      if (action.type === "policy.report") this.#result.reports++;
      const outcome = this.#outcome(action);
      if (!outcome) continue;
      if (this.#fault("late")) this.#late.push(outcome);
      else outcomes.push(outcome);
    }
    return outcomes;
  }

  #outcome(action: Action): EngineEvent | undefined {
    const { kernel } = this.#world;
    const outcome = kernel.outcomeOf(action);
    if (action.type === "address.remove" && kernel.removeSent) this.#checkers.removeSent(action.token, this.#now);
    if (action.type === "address.announce" && outcome?.type === "action.done")
      this.#peer.announced(action.token, action, this.#now);
    return outcome;
  }

  get transcript(): readonly string[] {
    return this.#noted.map(({ words, thing }) => (thing ? words + JSON.stringify(thing) : words));
  }

  #note(words: string, thing?: EngineEvent | Action): void {
    this.#noted.push(thing ? { words, thing } : { words });
    const keep = this.#options.keep ?? 400;
    if (this.#noted.length > 2 * keep) this.#noted.splice(0, this.#noted.length - keep);
  }

  /** kill -9 and start again: same endpoints, and a dump that must not lead to a second subflow from where there is one. */
  #restart(): void {
    const endpoints = this.#engine.endpoints().filter((endpoint) => (endpoint.flags & 16) === 0);
    const limits = this.#engine.limits();
    this.#late = [];
    this.#world.kernel.listeners.length = 0;
    this.#engine = this.#newEngine();
    this.#options.observer?.onBegin(this.#now);
    this.#checkers.restarted();
    this.#result.restarts++;
    this.#handle({ type: "config.changed", endpoints, limits });
    this.#configure();
    const connections = this.#world.kernel.observeAll();
    this.#note(`${this.#now} restart`);
    this.#isRestarting = true;
    this.#handle({ type: "kernel.snapshot", connections });
    this.#isRestarting = false;
  }

  #configure(): void {
    const { policies, rules } = this.#options;
    if (rules) this.#handle({ type: "config.changed", policy: policies[0].name, rules });
  }

  #mustBeNew({ token, local, localId, remote }: Extract<Action, { type: "subflow.create" }>): void {
    const subflows = this.#world.kernel.connections.get(token)?.subflows ?? [];
    const twin = subflows.some(
      ({ initiated, join, path }) =>
        initiated && join && path.local.address === local.address && path.remote.address === remote.address,
    );
    if (twin && localId !== 0 && !this.#options.severalPerPair)
      throw new BrokenLaw("a restart creates no subflow twice");
  }

  /** An incoming join to an address of its own takes the lowest free id. */
  #grabId(): void {
    const { kernel } = this.#world;
    for (const connection of kernel.connections.values()) {
      kernel.localIdFor(connection, `10.0.99.${this.#random.below(250)}` as never);
    }
  }

  /** No more faults; everything in flight lands; then the engine's picture is the kernel's, and a tick has nothing to do. */
  #rest(): void {
    this.#calm = true;
    this.#result.calms++;
    for (let round = 0; round < 12; round++) {
      this.#world.calm();
      this.#read();
      this.#handle({ type: "kernel.snapshot", connections: this.#world.kernel.observeAll() });
      this.#read();
      this.#pass(1000);
      this.#read();
    }
    for (let round = 0; round < 12; round++) {
      // What is tried again at the last moment is answered too.
      this.#world.calm();
      this.#read();
    }
    // What is on its way lands, too: where something is tried again and again, something always is.
    this.#peer.settle(Number.POSITIVE_INFINITY);
    checkPicture(this.#engine, this.#world.kernel);
    checkAnnouncements(this.#world.kernel, this.#peer);
    this.#result.announcementsDropped = this.#peer.dropped;
    const actions = this.#engine.handle({ type: "tick" }, this.#now);
    this.#options.observer?.onEvent({ type: "tick" }, actions, this.#now);
    if (actions.length > 0) throw new BrokenLaw("a tick gives no action when all is done");
    this.#result.connections = this.#engine.snapshot().counters.connections;
    this.#calm = false;
  }
}
