import type { Millis } from "../types/index.ts";
import { type Allowance, type Pace, takeOne } from "./allowance.ts";
import type { Subflow } from "./subflow.ts";

/** Of all connections together. */
const PACE: Pace = { burst: 16, perSecond: 2 };
/** Pairs of addresses remembered; beyond, all are forgotten, and some are asked once more. */
const PATHS_MAX = 4096;

/** When something was last heard between two addresses, by whichever connection, and how many may still be asked. */
export class Paths {
  readonly #heard = new Map<string, Millis>();
  #left: Allowance | undefined;

  /** @returns when something was heard there the last time, this included */
  hear(subflow: Subflow, at: Millis): Millis {
    const key = keyOf(subflow);
    const before = this.#heard.get(key) ?? 0;
    if (at <= before) return before;
    if (this.#heard.size >= PATHS_MAX) this.#heard.clear();
    this.#heard.set(key, at);
    return at;
  }

  take(now: Millis): boolean {
    const { granted, ...left } = takeOne(this.#left, PACE, now);
    this.#left = left;
    return granted;
  }
}

function keyOf({ path: { local, remote } }: Subflow): string {
  return `${local.address} ${remote.address}`;
}
