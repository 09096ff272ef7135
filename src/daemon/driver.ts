import type { Action, EngineEvent } from "../engine/index.ts";
import type { Millis } from "../types/index.ts";

/** What the driver needs of an engine. */
export interface Machine {
  handle(event: EngineEvent, now: Millis): readonly Action[];
  readonly nextTick: Millis | undefined;
}

/** What the driver needs of the world. */
export interface World {
  run(actions: readonly Action[]): EngineEvent[];
  now(): Millis;
  /** Called for each event before, and each action after, the engine; undefined keeps the path free of it. */
  readonly trace?: ((entry: { readonly event: EngineEvent; readonly actions: readonly Action[] }) => void) | undefined;
}

/**
 * Outcomes lead to actions, and these to outcomes: each command ends the chain or is retried by a timer, so a chain this
 * long means that the engine and the kernel disagree for ever; it is cut and the rest is left to the next event.
 */
const CHAIN_MAX = 1000;
/** setTimeout's largest delay; later ticks are armed again when it ends. */
const TIMEOUT_MAX: Millis = 0x7fff_ffff;

/** Feeds events to the engine, runs what it asks for, feeds the outcomes back, and keeps its clock. All in one turn. */
export class Driver implements Disposable {
  readonly #machine: Machine;
  readonly #world: World;
  #timer: NodeJS.Timeout | undefined;
  #armedFor = Number.POSITIVE_INFINITY;
  #depth = 0;
  readonly #waiting: EngineEvent[] = [];

  constructor(machine: Machine, world: World) {
    this.#machine = machine;
    this.#world = world;
  }

  /** Events that came together, in order. */
  handleAll(events: readonly EngineEvent[]): void {
    for (const event of events) this.#run(event);
    this.#arm();
  }

  handle(event: EngineEvent): void {
    this.#run(event);
    this.#arm();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#armedFor = Number.NEGATIVE_INFINITY;
  }

  #run(event: EngineEvent): void {
    this.#waiting.push(event);
    // An answer callback may bring a new event while one is being handled: it waits for its turn.
    if (this.#depth > 0) return;
    this.#depth++;
    try {
      for (let chain = 0; this.#waiting.length > 0 && chain < CHAIN_MAX; chain++) {
        this.#step(this.#waiting.shift()!);
      }
      this.#waiting.length = 0;
    } finally {
      this.#depth--;
    }
  }

  #step(event: EngineEvent): void {
    const actions = this.#machine.handle(event, this.#world.now());
    this.#world.trace?.({ event, actions });
    if (actions.length > 0) this.#waiting.push(...this.#world.run(actions));
  }

  #arm(): void {
    const due = this.#machine.nextTick ?? Number.POSITIVE_INFINITY;
    // A timer that ends too early costs one idle tick; setting it anew for every event would cost more.
    if (due >= this.#armedFor) return;
    clearTimeout(this.#timer);
    this.#armedFor = due;
    const delay = Math.min(Math.max(0, Math.ceil(due - this.#world.now())), TIMEOUT_MAX);
    this.#timer = setTimeout(() => this.#tick(), delay);
  }

  #tick(): void {
    this.#armedFor = Number.POSITIVE_INFINITY;
    this.handle({ type: "tick" });
  }
}
