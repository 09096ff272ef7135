import type { Answer } from "../control/index.ts";
import type { Action, EngineEvent } from "../engine/index.ts";
import type { ControlDecision, Millis } from "../types/index.ts";
import { describe } from "./trace.ts";

/** Decisions kept for who reads slowly; the oldest make room, and are counted as lost. */
const KEPT_MAX = 1000;
/** Watchers at once; a further one is answered at once, and asks again. */
const WAITING_MAX = 64;
/** Milliseconds after which an answer is given although nothing was decided: clients wait ten seconds. */
const WAIT_MAX: Millis = 5000;
/** Nobody asked for so long: nobody watches any more. */
const WATCHED_FOR: Millis = 3 * WAIT_MAX;

const SHOWN: ReadonlySet<string> = new Set<Action["type"]>([
  "subflow.create",
  "subflow.destroy",
  "subflow.setBackup",
  "address.announce",
  "address.remove",
]);

/** What led to a decision, in words. */
const OCCASIONS: Readonly<Partial<Record<EngineEvent["type"], string>>> = {
  "connection.established": "the connection is established",
  "subflow.established": "a subflow is established",
  "subflow.closed": "a subflow was closed",
  "subflow.priority": "the peer changed a priority",
  "address.announced": "the peer announced an address",
  "address.removed": "the peer took an address back",
  "kernel.snapshot": "comparison with the kernel",
  "connection.observed": "comparison with the kernel",
  "connection.measured": "what was measured of the paths",
  "action.done": "the kernel has done something",
  "action.failed": "the kernel has refused something",
  "command.received": "an endpoint or a limit was set or taken away",
  "config.changed": "the configuration",
  "host.addresses": "the host's addresses",
  "network.changed": "the network has changed",
  tick: "the time has come",
};

interface Entry {
  readonly at: Millis;
  readonly action: Action;
  readonly occasion: EngineEvent["type"];
}

interface Waiting {
  readonly after: number;
  readonly answer: Answer;
  readonly timer: NodeJS.Timeout;
}

/** What was decided, for whoever watches (`subflow monitor`): bounded, and nothing is kept while nobody does. */
export class Decisions implements Disposable {
  readonly #now: () => Millis;
  readonly #onWatched: (isWatched: boolean) => void;
  readonly #entries: Entry[] = [];
  /** Of the next decision. */
  #next = 0;
  #waiting: readonly Waiting[] = [];
  #watched: NodeJS.Timeout | undefined;
  #telling: NodeJS.Immediate | undefined;

  /** @param onWatched somebody begins to watch, or nobody does any more: only in between {@link note} need be called */
  constructor(now: () => Millis, onWatched: (isWatched: boolean) => void) {
    this.#now = now;
    this.#onWatched = onWatched;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#watched);
    clearImmediate(this.#telling);
    for (const { timer } of this.#waiting) clearTimeout(timer);
  }

  /** What an event has led to. The watchers are told when the turn is over. */
  note(event: EngineEvent, actions: readonly Action[]): void {
    if (!this.#watched) return;
    const decided = actions.filter(({ type }) => SHOWN.has(type));
    if (decided.length === 0) return;
    const at = this.#now();
    for (const action of decided) this.#entries.push({ at, action, occasion: event.type });
    this.#next += decided.length;
    if (this.#entries.length > KEPT_MAX) this.#entries.splice(0, this.#entries.length - KEPT_MAX);
    this.#telling ??= setImmediate(() => this.#tell());
  }

  /** Answers with what was decided after that number, as soon as there is something. undefined: from now on. */
  ask(after: number | undefined, answer: Answer): void {
    this.#beWatched();
    if (after !== this.#next || this.#waiting.length >= WAITING_MAX) {
      return this.#answer(after ?? this.#next, answer);
    }
    const entry: Waiting = { after, answer, timer: setTimeout(() => this.#end(entry), WAIT_MAX).unref() };
    this.#waiting = [...this.#waiting, entry];
  }

  #beWatched(): void {
    if (this.#watched) this.#watched.refresh();
    else {
      this.#onWatched(true);
      this.#watched = setTimeout(() => this.#endWatch(), WATCHED_FOR).unref();
    }
  }

  #endWatch(): void {
    this.#watched = undefined;
    this.#entries.length = 0;
    this.#onWatched(false);
  }

  #tell(): void {
    this.#telling = undefined;
    for (const entry of this.#waiting) this.#end(entry);
  }

  #end(entry: Waiting): void {
    clearTimeout(entry.timer);
    this.#waiting = this.#waiting.filter((other) => other !== entry);
    this.#answer(entry.after, entry.answer);
  }

  #answer(after: number, answer: Answer): void {
    const first = this.#next - this.#entries.length;
    // Of an earlier life of the daemon, or of somebody's own making.
    const from = after > this.#next ? first : Math.max(after, first);
    const decisions = this.#entries.slice(from - first).map(shown);
    answer({ next: this.#next, lost: after > this.#next ? 0 : from - after, decisions });
  }
}

function shown({ at, action, occasion }: Entry): ControlDecision {
  const token = "token" in action ? action.token : undefined;
  return { at, type: action.type, token, text: describe(action), because: OCCASIONS[occasion] ?? occasion };
}
