import type { Millis } from "../types/index.ts";
import type { Haste } from "./fact.ts";

/**
 * After a change is served, further gains wait this long and are served together: a DHCP renewal or a thousand new
 * addresses are a few plans, not a thousand. A loss never waits.
 */
export const SETTLING: Millis = 20;
/**
 * After work that is felt, the next waits so many times as long as it took: at most a twentieth of the time is spent so. Where a plan is
 * felt, gains wait longer,
 */
export const REST = 20;
/** and at most this. */
export const SETTLING_MAX: Millis = 1000;
/** Thinking that took less changes nothing. */
export const FELT: Millis = SETTLING / REST;

/** Which changes of the network are served at once, and when the others are. */
export class Settling {
  #until: Millis | undefined;
  #isWaited = false;
  /** It began with the plan at hand. */
  #isFresh = false;
  #cost: Millis = 0;

  get nextTick(): Millis | undefined {
    return this.#until;
  }

  /** Is a change served now? Otherwise when the network has settled. */
  serves(haste: Haste): boolean {
    if (haste === "loss" || this.#until === undefined) return true;
    this.#isWaited = true;
    return false;
  }

  /** A plan is made: until somebody says what it cost, it cost nothing. */
  onPlan(): void {
    this.#cost = 0;
    this.#isFresh = false;
  }

  onCost(took: Millis, now: Millis): void {
    this.#cost = took;
    if (this.#isFresh) this.#until = now + this.#wait();
  }

  /** A change was served. */
  begin(now: Millis): void {
    if (this.#until !== undefined) return;
    this.#until = now + this.#wait();
    this.#isFresh = true;
  }

  /** @returns undefined while it is not over; else whether changes have waited, which begin it anew when they are served */
  end(now: Millis): { readonly again: boolean } | undefined {
    if (this.#until === undefined || this.#until > now) return undefined;
    const again = this.#isWaited;
    this.#until = undefined;
    this.#isFresh = this.#isWaited = false;
    return { again };
  }

  #wait(): Millis {
    return Math.min(SETTLING_MAX, Math.max(SETTLING, REST * this.#cost));
  }
}
