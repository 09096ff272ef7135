import type { Millis } from "../types/index.ts";
import type { Action } from "./actions.ts";
import type { EngineEvent } from "./events.ts";

/** What a pump drives: an engine, or something that watches one. */
export interface Machine {
  handle(event: EngineEvent, now: Millis): readonly Action[];
}

/** An event, and what it led to at that time. */
export interface Traced {
  readonly event: EngineEvent;
  readonly actions: readonly Action[];
  readonly now: Millis;
}

/** Where actions go to, and what becomes of them. */
export interface World {
  /** Carries actions out. @returns the outcomes that are known at once, in the order of the actions */
  run(actions: readonly Action[]): readonly EngineEvent[];
  now(): Millis;
  /** Called after each event, with what it led to; undefined keeps the path free of it. */
  readonly trace?: ((entry: Traced) => void) | undefined;
  /** A chain was cut: so many events were left out. */
  readonly onCut?: ((events: number) => void) | undefined;
}

/**
 * Outcomes lead to actions, and these to outcomes. Each command ends its chain or is retried by a timer, so one that is this long
 * means that engine and world disagree for ever; it is cut. It is the length that counts: one event may well lead to
 * as many actions as there are connections.
 */
export const CHAIN_MAX = 1000;

/**
 * Feeds events to an engine, runs what it asks for and feeds the outcomes back, breadth first: all outcomes of one step before any
 * of the next. The same for daemon, simulator and tests of policies, so that none of them sees another order than the others.
 */
export class Pump {
  readonly #machine: Machine;
  readonly #world: World;
  /** Of the step at hand, from `#next` on. */
  #step: EngineEvent[] = [];
  #next = 0;
  #following: EngineEvent[] = [];
  #isRunning = false;

  constructor(machine: Machine, world: World) {
    this.#machine = machine;
    this.#world = world;
  }

  /** All that follows from the event has happened when this returns, unless it comes from within: then it has its turn afterwards. */
  feed(event: EngineEvent): void {
    this.#following.push(event);
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      this.#run();
    } finally {
      this.#isRunning = false;
    }
  }

  #run(): void {
    for (let length = 0; this.#advance(); length++) {
      if (length === CHAIN_MAX) return this.#cut();
      while (this.#next < this.#step.length) this.#take(this.#step[this.#next++] as EngineEvent);
    }
  }

  /** @returns false when nothing is left; what a step that threw has left comes first */
  #advance(): boolean {
    if (this.#next < this.#step.length) return true;
    const done = this.#step;
    done.length = 0;
    this.#step = this.#following;
    this.#following = done;
    this.#next = 0;
    return this.#step.length > 0;
  }

  #take(event: EngineEvent): void {
    const { run, trace } = this.#world;
    const now = this.#world.now();
    const actions = this.#machine.handle(event, now);
    trace?.({ event, actions, now });
    if (actions.length === 0) return;
    for (const outcome of run(actions)) this.#following.push(outcome);
  }

  #cut(): void {
    const events = this.#step.length - this.#next + this.#following.length;
    this.#step.length = 0;
    this.#following.length = 0;
    this.#next = 0;
    this.#world.onCut?.(events);
  }
}
