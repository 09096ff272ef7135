import type { Connection } from "./model.ts";

/** Connections that have another subflow to go on by, each looked at in turn; first those of which something is in doubt. */
export class Watchlist {
  readonly #all = new Set<Connection>();
  readonly #inDoubt = new Set<Connection>();

  add(connection: Connection): void {
    this.#all.add(connection);
  }

  delete(connection: Connection): void {
    this.#all.delete(connection);
    this.#inDoubt.delete(connection);
  }

  /** Something about it is in doubt, or no more. */
  doubt(connection: Connection, isInDoubt: boolean): void {
    if (isInDoubt) this.#inDoubt.add(connection);
    else this.#inDoubt.delete(connection);
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
