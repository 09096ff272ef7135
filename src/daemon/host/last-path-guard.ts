import { type HostAction, type HostFacts, type Lifeline, lifelinesOf, spareLastPaths } from "../../host/index.ts";
import type { Connection, Millis } from "../../types/index.ts";
import type { Logger } from "../logger.ts";

/** What was read is good for so long where no event came since: endpoints that wait are looked at in every audit. */
const FRESH_FOR: Millis = 30_000;
/** Events that may set a waiting endpoint free come in rows, */
const LOOK_GAP: Millis = 100;
/** and looking takes the longer the more connections there are: at most a tenth of the time. */
const LOOK_SHARE = 10;

export interface LastPathGuardOptions {
  readonly connections: () => readonly Connection[];
  /** To be called when an endpoint that waits may have been set free. */
  readonly look: () => void;
  readonly now: () => Millis;
  readonly log: Logger;
}

/** Keeps endpoints of the kernel's table that some connection cannot do without, until it can. */
export class LastPathGuard implements Disposable {
  readonly #options: LastPathGuardOptions;
  #looking: NodeJS.Timeout | undefined;
  #cost: Millis = 0;
  #spared: ReadonlyMap<string, number> = new Map();
  #lifelines: readonly Lifeline[] | undefined;
  #readAt: Millis = 0;

  constructor(options: LastPathGuardOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#looking);
  }

  /** Endpoints that stay for now, and how many connections live by each. */
  get spared(): ReadonlyMap<string, number> {
    return this.#spared;
  }

  /** Connections have come, gone or changed. */
  onEvents(): void {
    this.#lifelines = undefined;
    if (this.#spared.size === 0) return;
    this.#looking ??= setTimeout(
      () => {
        this.#looking = undefined;
        this.#options.look();
      },
      Math.max(LOOK_GAP, LOOK_SHARE * this.#cost),
    );
  }

  /** Of what should be done, what may be done now. */
  permit(actions: readonly HostAction[], facts: HostFacts): readonly HostAction[] {
    if (!actions.some(({ type }) => type === "endpoint.delete")) {
      this.#spared = new Map();
      return actions;
    }
    const { permitted, spared } = spareLastPaths(actions, this.#read(), facts);
    const before = this.#spared;
    this.#spared = new Map(spared.map(({ key, connections }) => [key, connections]));
    for (const { key, connections } of spared) {
      if (before.has(key)) continue;
      const whose = connections === 1 ? "a connection has" : `${connections} connections have`;
      this.#options.log.info(`endpoint ${key} stays for now: ${whose} no other subflow that works`);
    }
    return permitted;
  }

  #read(): readonly Lifeline[] {
    const { connections, now } = this.#options;
    if (this.#lifelines && this.#spared.size > 0 && now() - this.#readAt < FRESH_FOR) return this.#lifelines;
    this.#readAt = now();
    this.#lifelines = lifelinesOf(connections());
    this.#cost = now() - this.#readAt;
    return this.#lifelines;
  }
}
