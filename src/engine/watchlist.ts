import type { Millis } from "../types/index.ts";
import type { Connection } from "./model.ts";

/** Connections that have another subflow to go on by, each looked at in turn; first those of which something is in doubt. */
export class Watchlist {
  readonly #all = new Set<Connection>();
  readonly #inDoubt = new Set<Connection>();
  #pace: Millis = Number.POSITIVE_INFINITY;
  /** The one that set the pace is gone, or treated otherwise. */
  #isPaceStale = false;

  add(connection: Connection): void {
    this.#all.add(connection);
    this.#pace = Math.min(this.#pace, paceOf(connection));
  }

  /** It is treated otherwise from now on. */
  onTreatment(before: Millis | undefined): void {
    if (before === this.#pace) this.#isPaceStale = true;
  }

  delete(connection: Connection): void {
    if (this.#all.delete(connection) && paceOf(connection) === this.#pace) this.#isPaceStale = true;
    this.#inDoubt.delete(connection);
  }

  /** Something about it is in doubt, or no more. */
  doubt(connection: Connection, isInDoubt: boolean): void {
    if (isInDoubt) this.#inDoubt.add(connection);
    else this.#inDoubt.delete(connection);
  }

  /** How often they are to be measured, by the policy that asks for most; Infinity: none asks. */
  get measures(): Millis {
    if (this.#isPaceStale) {
      this.#isPaceStale = false;
      this.#pace = Number.POSITIVE_INFINITY;
      for (const connection of this.#all) this.#pace = Math.min(this.#pace, paceOf(connection));
    }
    return this.#pace;
  }

  get size(): number {
    return this.#all.size;
  }

  get isInDoubt(): boolean {
    return this.#inDoubt.size > 0;
  }

  /** The next ones, each but once; who is returned is the last in turn from now on. */
  take(max: number): readonly Connection[] {
    const taken = new Set<Connection>();
    for (const connection of [...first(this.#inDoubt, max), ...first(this.#all, max)]) {
      if (taken.size >= max) break;
      if (!hasChoice(connection)) this.delete(connection);
      else taken.add(connection);
    }
    for (const connection of taken)
      for (const set of [this.#all, this.#inDoubt]) if (set.delete(connection)) set.add(connection);
    return [...taken];
  }
}

function paceOf({ treatment }: Connection): Millis {
  return treatment.measures ?? Number.POSITIVE_INFINITY;
}

function first(set: ReadonlySet<Connection>, max: number): Connection[] {
  const list: Connection[] = [];
  for (const connection of set) {
    if (list.length >= max) break;
    list.push(connection);
  }
  return list;
}

/** It comes back when another subflow is established. What a policy wants measured is, also where there is nothing to choose from. */
function hasChoice({ owned, subflows, treatment }: Connection): boolean {
  let usable = 0;
  for (const { state } of subflows) if (state === "established") usable++;
  if (!owned || !treatment.triesAgain) return false;
  return usable > (treatment.measures === undefined ? 1 : 0);
}
