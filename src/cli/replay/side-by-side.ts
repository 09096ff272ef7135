import type { Action } from "../../engine/index.ts";
import { Alternative, type Damage, type Deed, type Entry, type Otherwise } from "../../recording/index.ts";
import { type Millis, type Token, unmap } from "../../types/index.ts";
import { Lanes } from "./lanes.ts";
import { Storyteller, type Told } from "./story.ts";

/** The same is the same when it is done so much sooner or later. */
const TOGETHER: Millis = 1000;
/** Rows that are kept; the others are counted. */
const ROWS_MAX = 5000;

/** One thing that was done then, would be done now, or both. */
export interface Row {
  readonly time: Millis;
  readonly token: Token | undefined;
  readonly type: string;
  /** In words; undefined: it was not. */
  readonly done: string | undefined;
  readonly planned: string | undefined;
}

/** How often something was done. */
export type Counts = Readonly<Record<string, { done: number; planned: number }>>;

/** A recording beside what would have been done otherwise. */
export interface SideBySide {
  readonly rows: readonly Row[];
  /** Rows that are left out. */
  readonly more: number;
  readonly counts: Counts;
  readonly lanes: { readonly done: Lanes; readonly planned: Lanes };
}

type Mutable = { -readonly [name in keyof Row]: Row[name] };

/** Plays a recording otherwise, entry by entry. */
export class SideBySideMaker {
  readonly #storyteller = new Storyteller();
  readonly #alternative: Alternative;
  readonly #rows: Mutable[] = [];
  readonly #open = new Map<string, Mutable[]>();
  readonly #counts: Record<string, { done: number; planned: number }> = {};
  readonly #done = new Lanes();
  readonly #planned = new Lanes();
  #more = 0;

  constructor(otherwise: Otherwise) {
    this.#alternative = new Alternative({
      otherwise,
      onDeed: (deed) => this.#onDeed(deed),
      onEvent: (event, at) => this.#planned.event(event, this.#storyteller.timeOf(at)),
    });
  }

  play(entry: Entry | Damage): void {
    if (entry.type !== "damage") {
      this.#storyteller.tell(entry);
      if (entry.type === "event") this.#done.event(entry.event, this.#storyteller.timeOf(entry.at));
      if (entry.type === "begin" && entry.part === 0) for (const lanes of [this.#done, this.#planned]) lanes.forget();
    }
    this.#alternative.play(entry);
  }

  get result(): SideBySide {
    const rows = this.#rows.toSorted((a, b) => a.time - b.time);
    return { rows, more: this.#more, counts: this.#counts, lanes: { done: this.#done, planned: this.#planned } };
  }

  #onDeed({ at, isNow, cause, actions, changes }: Deed): void {
    for (const action of actions) {
      const [told] = this.#storyteller.actions([action], cause as never, at);
      if (told) this.#row(told, isNow, keyOf(action));
    }
    for (const told of this.#storyteller.changes(changes, at)) this.#row(told, isNow, told.words);
  }

  #row({ time, token, type, words }: Told, isNow: boolean, key: string): void {
    const side = isNow ? "planned" : "done";
    this.#counts[type] ??= { done: 0, planned: 0 };
    this.#counts[type][side]++;
    const waiting = this.#open.get(key) ?? [];
    const other = waiting.findIndex((row) => row[side] === undefined && Math.abs(row.time - time) <= TOGETHER);
    const [found] = other < 0 ? [] : waiting.splice(other, 1);
    if (found) {
      found[side] = words;
      return;
    }
    if (this.#rows.length >= ROWS_MAX) {
      this.#more++;
      return;
    }
    const row = { time, token, type, done: isNow ? undefined : words, planned: isNow ? words : undefined };
    this.#rows.push(row);
    // Those that nothing came to in time need not be looked at again.
    this.#open.set(key, [...waiting.filter((each) => time - each.time <= TOGETHER), row]);
  }
}

/** What is the same then and now: local ports and numbers are the kernel's choice. */
function keyOf(action: Action): string {
  const ends = "path" in action ? action.path : action;
  const local = "local" in ends ? unmap(ends.local.address) : "";
  const remote = "remote" in ends ? `${unmap(ends.remote.address)} ${ends.remote.port}` : "";
  const token = "token" in action ? action.token : "";
  const rest = "address" in action ? action.address : "localId" in action && !local ? action.localId : "";
  const backup = "backup" in action ? action.backup : "";
  return [action.type, token, local, remote, rest, backup].join(" ");
}
