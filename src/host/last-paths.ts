import type { ConnectionLife, Millis } from "../types/index.ts";
import type { HostChange, HostNote } from "./actions.ts";
import type { HostFacts } from "./facts.ts";
import { type Lifeline, lifelinesOf, spareLastPaths } from "./survival.ts";

/** What was read is good for so long where no event came since: endpoints that wait are looked at in every audit. */
const FRESH_FOR: Millis = 30_000;
/** Events that may set a waiting endpoint free come in rows, */
const LOOK_GAP: Millis = 100;
/** and looking takes the longer the more connections there are: at most a tenth of the time. */
const LOOK_SHARE = 10;

/** Keeps endpoints of the kernel's table that some connection cannot do without, until it can. */
export class LastPaths {
  #lookAt: Millis | undefined;
  #cost: Millis = 0;
  /** Endpoints that stay for now, and how many connections live by each. */
  #spared: ReadonlyMap<string, number> = new Map();
  #lifelines: readonly Lifeline[] | undefined;
  #readAt: Millis = 0;

  /** When endpoints that wait are to be looked at again. */
  get nextTick(): Millis | undefined {
    return this.#lookAt;
  }

  /** @returns whether it is time to look */
  onTick(now: Millis): boolean {
    if (this.#lookAt === undefined || this.#lookAt > now) return false;
    this.#lookAt = undefined;
    return true;
  }

  /** Connections have come, gone or changed. */
  onEvents(now: Millis): void {
    this.#lifelines = undefined;
    if (this.#spared.size > 0) this.#lookAt ??= now + Math.max(LOOK_GAP, LOOK_SHARE * this.#cost);
  }

  /** Must the connections be read before these changes are judged? */
  asks(changes: readonly HostChange[], now: Millis): boolean {
    if (!changes.some(isDeletion)) return false;
    return !(this.#lifelines && this.#spared.size > 0 && now - this.#readAt < FRESH_FOR);
  }

  onConnections(connections: readonly ConnectionLife[], cost: Millis, now: Millis): void {
    this.#readAt = now;
    this.#lifelines = lifelinesOf(connections);
    this.#cost = cost;
  }

  /** Of what should be done, what may be done now, and what is said of the rest. */
  permit(
    changes: readonly HostChange[],
    facts: HostFacts,
  ): { readonly permitted: readonly HostChange[]; readonly notes: readonly HostNote[] } {
    if (!changes.some(isDeletion)) {
      this.#spared = new Map();
      return { permitted: changes, notes: [] };
    }
    const { permitted, spared } = spareLastPaths(changes, this.#lifelines ?? [], facts);
    const before = this.#spared;
    this.#spared = new Map(spared.map(({ key, connections }) => [key, connections]));
    const notes = spared
      .filter(({ key }) => !before.has(key))
      .map(({ key, connections }): HostNote => {
        return { type: "say", level: "info", text: `endpoint ${key} stays for now: ${sayWhy(connections)}` };
      });
    return { permitted, notes };
  }

  /** Endpoints that should go, and stay because connections live by them, a sentence each. */
  get waiting(): readonly string[] {
    return [...this.#spared].map(
      ([key, connections]) => `endpoint ${key} should go, and stays: ${sayWhy(connections)}`,
    );
  }
}

function sayWhy(connections: number): string {
  const whose = connections === 1 ? "a connection has" : `${connections} connections have`;
  return `${whose} no other subflow that works`;
}

function isDeletion({ type }: HostChange): boolean {
  return type === "endpoint.delete";
}
