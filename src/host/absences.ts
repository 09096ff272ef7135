import { ENDPOINT_FLAG, type Millis } from "../types/index.ts";
import type { HostChange } from "./actions.ts";
import { endpointKey, type HostFacts } from "./facts.ts";

/** An address that is renewed, or whose network service starts anew, is back by then. */
export const RETURN_MAX: Millis = 10_000;

/**
 * Announced addresses that have gone. Taking one back makes peers close what they opened to it, and not all of them join again when it
 * returns; without us they would not have noticed. So it is waited for. What was gone before our first look has had its time.
 */
export class Absences {
  #until: ReadonlyMap<string, Millis> = new Map();
  /** Announced addresses that were there when we last looked: {@link endpointKey}. */
  #present: ReadonlySet<string> = new Set();

  /** When the next one is not waited for any longer. */
  get nextTick(): Millis | undefined {
    return this.#until.size === 0 ? undefined : Math.min(...this.#until.values());
  }

  onTick(now: Millis): boolean {
    return (this.nextTick ?? Number.POSITIVE_INFINITY) <= now;
  }

  /** Of what should be done, what may be done now. */
  hold(changes: readonly HostChange[], facts: HostFacts, now: Millis): readonly HostChange[] {
    const held = new Map<string, Millis>();
    const absent = announced(facts, false);
    const isHeld = (change: HostChange): boolean => {
      if (change.type !== "endpoint.delete" || change.foreign) return false;
      const key = endpointKey(change);
      const until = this.#until.get(key) ?? (this.#present.has(key) ? now + RETURN_MAX : now);
      if (!absent.has(key) || until <= now) return false;
      held.set(key, until);
      return true;
    };
    const added = changes.filter(({ type }) => type === "endpoint.add").length;
    const isFull = facts.endpoints.length + added > facts.capacity.endpoints;
    const permitted = isFull ? changes : changes.filter((change) => !isHeld(change));
    this.#until = held;
    this.#present = new Set([...announced(facts, true), ...changes.flatMap(addedKey)]);
    return permitted;
  }
}

function addedKey(change: HostChange): string[] {
  return change.type === "endpoint.add" ? [endpointKey(change.endpoint)] : [];
}

function announced({ endpoints, addresses }: HostFacts, isThere: boolean): Set<string> {
  const there = new Set(addresses.map(({ address }) => address));
  const fitting = endpoints.filter(
    ({ flags, address }) => flags & ENDPOINT_FLAG.signal && there.has(address) === isThere,
  );
  return new Set(fitting.map(endpointKey));
}
