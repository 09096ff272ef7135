import { type EngineEvent, type Machine, Pump, type World } from "../engine/index.ts";
import type { Millis } from "../types/index.ts";

/** What the driver needs of an engine. */
export interface TimedMachine extends Machine {
  readonly nextTick: Millis | undefined;
}

/** setTimeout's largest delay; later ticks are armed again when it ends. */
const TIMEOUT_MAX: Millis = 0x7fff_ffff;

/** A pump with the engine's clock. All in one turn. */
export class Driver implements Disposable {
  readonly #machine: TimedMachine;
  readonly #world: World;
  readonly #pump: Pump;
  #timer: NodeJS.Timeout | undefined;
  #armedFor = Number.POSITIVE_INFINITY;

  constructor(machine: TimedMachine, world: World) {
    this.#machine = machine;
    this.#world = world;
    this.#pump = new Pump(machine, world);
  }

  /** Events that came together, in order. */
  handleAll(events: readonly EngineEvent[]): void {
    for (const event of events) this.#pump.feed(event);
    this.#arm();
  }

  handle(event: EngineEvent): void {
    this.#pump.feed(event);
    this.#arm();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#armedFor = Number.NEGATIVE_INFINITY;
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
