import type { Millis } from "../types/index.ts";
import type { Connection } from "./model.ts";

/*
 * Short connections are spared a second handshake (`delay`): further subflows come when they are so old, or have carried so much.
 */

/** From when on subflows are opened; Infinity: not by their age. Not delayed where the one that it began with is gone. */
export function opensAtOf({ subflows, treatment, moved }: Connection): Millis {
  const { age, bytes } = treatment.delay;
  if (age === undefined && bytes === undefined) return 0;
  if (bytes !== undefined && moved >= bytes) return 0;
  const initial = subflows.find(({ join, state }) => !join && state === "established");
  return initial?.since === undefined ? 0 : initial.since + (age ?? Number.POSITIVE_INFINITY);
}

/** Connections that get further subflows when they have carried so many bytes, each counted in turn. Nobody counts where there are none. */
export class Waiting {
  readonly #all = new Set<Connection>();

  get size(): number {
    return this.#all.size;
  }

  /** How many have begun to wait, ever. */
  added = 0;

  add(connection: Connection): void {
    if (this.#all.has(connection)) return;
    this.#all.add(connection);
    this.added++;
  }

  delete(connection: Connection): void {
    this.#all.delete(connection);
  }

  /** The next ones; who is returned is the last in turn from now on. */
  take(max: number): readonly Connection[] {
    const taken: Connection[] = [];
    for (const connection of this.#all) {
      if (taken.length >= max) break;
      // Treated otherwise since, or it has what it began with no more.
      if (!connection.owned || opensAtOf(connection) <= connection.now) this.#all.delete(connection);
      else taken.push(connection);
    }
    for (const connection of taken) if (this.#all.delete(connection)) this.#all.add(connection);
    return taken;
  }
}
