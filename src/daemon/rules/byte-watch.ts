import type { Engine, EngineEvent } from "../../engine/index.ts";
import { ConnectionReader } from "../../netlink/index.ts";
import type { Millis } from "../../types/index.ts";

/** From one look to the next: while what waits moves data, and at most, where it does not. */
const PACE = { moving: 10, still: 500 } as const satisfies Record<string, Millis>;
/** Connections of one look: some hundred microseconds, which no event waits for longer. */
const LOOK_MAX = 32;
/** After a look, so many times as long as it took nothing is looked at: 2 % of a processor, however many there are. */
const REST = 50;

export interface ByteWatchOptions {
  readonly engine: Pick<Engine, "waiting" | "waitingCount" | "waitingAdded">;
  readonly handleAll: (events: readonly EngineEvent[]) => void;
  readonly now: () => Millis;
}

/**
 * Counts what connections have carried that get further subflows only then (`delay: 64kB`): each by itself, in turn. Nothing runs while none
 * waits, and where nothing moves it is looked at ever more seldom. It is TCP's own count of each subflow, which every kernel has.
 */
export class ByteWatch implements Disposable {
  readonly #options: ByteWatchOptions;
  #reader: ConnectionReader | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pace: Millis = PACE.moving;
  /** How many had begun to wait when it was last asked. */
  #known = 0;

  constructor(options: ByteWatchOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    this.#rest();
    this.#reader?.[Symbol.dispose]();
    this.#reader = undefined;
  }

  /** To be called after events: something may wait now. */
  wake(): void {
    const { waitingAdded } = this.#options.engine;
    if (waitingAdded === this.#known) return;
    this.#known = waitingAdded;
    if (this.#timer !== undefined && this.#pace === PACE.moving) return;
    this.#pace = PACE.moving;
    this.#arm(PACE.moving);
  }

  #arm(wait: Millis): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#turn(), wait);
  }

  #turn(): void {
    // A look that fails costs this turn, not those that wait.
    this.#arm(PACE.still);
    const { engine, now } = this.#options;
    const start = now();
    const isMoving = this.#look();
    if (engine.waitingCount === 0) return this.#rest();
    this.#pace = isMoving ? PACE.moving : Math.min(this.#pace * 2, PACE.still);
    // Each has its turn in that time.
    const each = this.#pace / Math.ceil(engine.waitingCount / LOOK_MAX);
    this.#arm(Math.max(PACE.moving, each, REST * (now() - start)));
  }

  /** Nothing waits any more. */
  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** @returns whether any of those that had their turn has carried more since */
  #look(): boolean {
    const { engine, handleAll } = this.#options;
    const waiting = engine.waiting(LOOK_MAX);
    const before = new Map(waiting.map(({ token, moved }) => [token, moved]));
    this.#reader ??= new ConnectionReader();
    const events = this.#reader.read(waiting).map(({ token, subflows }) => {
      const bytes = subflows.reduce((sum, { bytesAcked, bytesReceived }) => sum + bytesAcked + bytesReceived, 0);
      return { type: "connection.counted", token, bytes } as const;
    });
    const isMoving = events.some(({ token, bytes }) => bytes !== before.get(token));
    handleAll(events);
    return isMoving;
  }
}
