import { type Action, Engine, type EngineEvent, type Policy } from "../engine/index.ts";
import { type HostAction, HostEngine, type HostFact, Memory } from "../host/index.ts";
import { policies as builtIn } from "../policies/index.ts";
import type { Millis, Token } from "../types/index.ts";
import {
  type Beginning,
  type Entry,
  type EventEntry,
  type FactEntry,
  kernelOptionsOf,
  type SeenEntry,
} from "./entry.ts";
import { isSame } from "./equal.ts";
import { RecordingError } from "./error.ts";
import { observedOf } from "./observed.ts";
import type { Damage } from "./reader.ts";
import { WITH_OUTCOME } from "./writer.ts";

/** Other actions were planned than were done. */
export interface Difference {
  readonly at: Millis;
  /** What was told to which engine. */
  readonly cause: EngineEvent | HostFact;
  readonly done: readonly (Action | HostAction)[];
  readonly planned: readonly (Action | HostAction)[];
  /** It is of what was there before the recording began, of which the engines remembered more than it tells. */
  readonly isUnsure: boolean;
}

/** What was played so far. */
export interface Played {
  lives: number;
  events: number;
  facts: number;
  actions: number;
  hostActions: number;
  differences: number;
  /** Those of them that say nothing: {@link Difference.isUnsure}. */
  unsure: number;
  /** Entries that the daemon could not write. */
  lost: number;
  /** Pieces that are cut off or spoilt. */
  damages: number;
  /** Of the first and the last entry, by the clock of the life that they are of. */
  from: Millis | undefined;
  to: Millis;
}

export interface PlayerOptions {
  readonly policies?: readonly [Policy, ...Policy[]] | undefined;
  readonly onDifference?: ((difference: Difference) => void) | undefined;
}

/** Plays a recording with the engines of this version, and compares what they plan with what was done. */
export class Player {
  readonly #options: PlayerOptions;
  readonly played: Played = {
    lives: 0,
    events: 0,
    facts: 0,
    actions: 0,
    hostActions: 0,
    differences: 0,
    unsure: 0,
    lost: 0,
    damages: 0,
    from: undefined,
    to: 0,
  };
  #life: Life | undefined;

  constructor(options: PlayerOptions = {}) {
    this.#options = options;
  }

  /** The life at hand; undefined: none has begun. */
  get life(): Life | undefined {
    return this.#life;
  }

  /** @throws RecordingError for what no daemon can have written */
  play(entry: Entry | Damage): void {
    const { played } = this;
    switch (entry.type) {
      case "damage":
        played.damages++;
        this.#life?.break();
        return;
      case "lost":
        played.lost += entry.entries;
        this.#life?.break();
        return;
      case "begin":
        this.#begin(entry);
        break;
      case "seen":
        this.#try(() => this.#life?.see(entry));
        break;
      case "event":
        played.events++;
        played.actions += entry.actions.length;
        this.#try(() => this.#note(this.#life?.event(entry)));
        break;
      case "fact":
        played.facts++;
        played.hostActions += entry.actions.length;
        this.#try(() => this.#note(this.#life?.fact(entry)));
        break;
    }
    played.from ??= entry.at;
    played.to = entry.at;
  }

  #begin(beginning: Beginning): void {
    if (this.#life?.goesOnIn(beginning)) return;
    this.played.lives++;
    this.#try(() => {
      this.#life = new Life(beginning, this.#options.policies ?? builtIn);
    });
  }

  #note(difference: Difference | undefined): void {
    if (!difference) return;
    this.played.differences++;
    if (difference.isUnsure) this.played.unsure++;
    this.#options.onDifference?.(difference);
  }

  /** What engines make of values that no daemon wrote is not their fault. */
  #try(play: () => void): void {
    try {
      play();
    } catch (error) {
      if (error instanceof RecordingError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new RecordingError(`at ${this.played.to} ms stands what cannot be played: ${reason}`, error);
    }
  }
}

/** The engines of one daemon. */
export class Life {
  readonly beginning: Beginning;
  /** undefined: the in-kernel path manager is in charge. */
  readonly engine: Engine | undefined;
  readonly host: HostEngine | undefined;
  /** Sysctls as they were last asked for. */
  readonly #sysctls = new Map<string, string | undefined>();
  /** By the number that they have in the recording. */
  readonly #actions = new Map<number, Action>();
  /** Of connections that were there before. */
  readonly #unsure = new Set<Token>();
  #isHostUnsure: boolean;
  #part: number;
  /** Events and facts since it began. */
  #count: number;
  #isBroken = false;
  #recovers = true;

  constructor(beginning: Beginning, policies: readonly [Policy, ...Policy[]]) {
    this.beginning = beginning;
    this.#part = beginning.part;
    this.#count = beginning.before;
    this.#isHostUnsure = beginning.part > 0;
    const { engine, host, at } = beginning;
    if (engine) {
      this.engine = new Engine({ policies, timing: engine.timing, ...kernelOptionsOf(host) });
      for (const event of engine.setUp) this.engine.handle(event, at);
    }
    if (!host) return;
    const { capacity, closesSubflows, config } = host;
    for (const [name, value] of host.sysctls) this.#sysctls.set(name, value);
    const memory = memoryOf(host);
    this.host = new HostEngine({ memory, capacity, closesSubflows, recovers: () => this.#recovers });
    if (config) this.host.handle({ type: "configured", config }, at);
  }

  /** Something is missing: what follows cannot be told from here. */
  break(): void {
    this.#isBroken = true;
  }

  /** The next part of the same life, and nothing is missing in between: everything is known already. */
  goesOnIn({ life, part, before, isMasked }: Beginning): boolean {
    const isSameLife = life === this.beginning.life && isMasked === this.beginning.isMasked;
    const isNext = isSameLife && part === this.#part + 1 && before === this.#count;
    if (this.#isBroken || !isNext) return false;
    this.#part = part;
    return true;
  }

  see({ at, connection }: SeenEntry): void {
    if (!this.engine || this.engine.connection(connection.token)) return;
    this.#unsure.add(connection.token);
    this.engine.handle(observedOf(connection), at);
  }

  event({ at, event, actions }: EventEntry): Difference | undefined {
    this.#count++;
    if (!this.engine || this.#isBroken) return undefined;
    const planned = this.engine.handle(this.#asPlanned(event), at);
    const isPlanned = this.#pair(actions, planned);
    if (event.type === "connection.closed") this.#unsure.delete(event.token);
    if (isPlanned) return undefined;
    const sure = (action: Action): boolean => !("token" in action && this.#unsure.has(action.token));
    const isUnsure = isSameActions(actions.filter(sure), planned.filter(sure));
    return { at, cause: event, done: actions, planned, isUnsure };
  }

  fact({ at, fact, actions, recovers, sysctls }: FactEntry): Difference | undefined {
    this.#count++;
    if (!this.host || this.#isBroken) return undefined;
    for (const [name, value] of sysctls) this.#sysctls.set(name, value);
    this.#recovers = recovers;
    const known = fact.type === "network" ? { ...fact, network: { ...fact.network, sysctls: this.#read } } : fact;
    const planned = this.host.handle(known, at);
    if (isSameList(actions, planned)) {
      // Its rhythm is ours.
      if (actions.length > 0) this.#isHostUnsure = false;
      return undefined;
    }
    return { at, cause: fact, done: actions, planned, isUnsure: this.#isHostUnsure };
  }

  readonly #read = { get: (name: string): string | undefined => this.#sysctls.get(name) };

  /** An outcome names the action that was planned here, whose number may be another. */
  #asPlanned(event: EngineEvent): EngineEvent {
    if (event.type !== "action.done" && event.type !== "action.failed") return event;
    const planned = this.#actions.get(event.action.id);
    this.#actions.delete(event.action.id);
    return planned ? { ...event, action: planned } : event;
  }

  /** @returns whether all are the same, in order */
  #pair(done: readonly Action[], planned: readonly Action[]): boolean {
    if (done.length === 0 && planned.length === 0) return true;
    const left = [...planned];
    let isSameOrder = done.length === planned.length;
    for (const [index, action] of done.entries()) {
      isSameOrder &&= planned[index] !== undefined && isSameAction(action, planned[index]);
      if (!WITH_OUTCOME.has(action.type)) continue;
      const at = left.findIndex((other) => isSameAction(action, other));
      const [found] = at < 0 ? [] : left.splice(at, 1);
      if (found) this.#actions.set(action.id, found);
    }
    return isSameOrder;
  }
}

/** Numbers of actions count what came before; they decide nothing. */
export function isSameAction(one: Action, other: Action): boolean {
  return one.type === other.type && isSame({ ...one, id: 0 }, { ...other, id: 0 });
}

function isSameActions(one: readonly Action[], other: readonly Action[]): boolean {
  return one.length === other.length && one.every((action, index) => isSameAction(action, other[index]!));
}

function isSameList(one: readonly HostAction[], other: readonly HostAction[]): boolean {
  return one.length === other.length && one.every((action, index) => isSame(action, other[index]));
}

function memoryOf({ saved, afterCrash, yielded }: NonNullable<Beginning["host"]>): Memory {
  const memory = new Memory(saved);
  memory.afterCrash = afterCrash;
  for (const key of yielded) memory.yielded.add(key);
  return memory;
}
