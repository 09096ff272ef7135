import { ENDPOINT_FLAG, type Millis } from "../types/index.ts";
import type { HostChange } from "./actions.ts";
import { endpointKey, type HostFacts } from "./facts.ts";

/** An address that is renewed, or whose network service starts anew, is back by then: as the engine's `Timing.returnMax`. */
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
    const { present, absent } = announced(facts);
    const held = new Map<string, Millis>();
    const isHeld = (change: HostChange): boolean => {
      if (change.type !== "endpoint.delete" || change.foreign) return false;
      const key = endpointKey(change);
      const until = this.#until.get(key) ?? (this.#present.has(key) ? now + RETURN_MAX : now);
      if (!absent.has(key) || until <= now) return false;
      held.set(key, until);
      return true;
    };
    const added = changes.flatMap((change) => (change.type === "endpoint.add" ? [endpointKey(change.endpoint)] : []));
    const isFull = facts.endpoints.length + added.length > facts.capacity.endpoints;
    const permitted = isFull ? changes : changes.filter((change) => !isHeld(change));
    this.#until = held;
    this.#present = new Set([...present, ...added]);
    return permitted;
  }
}

/** Announced endpoints whose addresses the host has, and those whose it has not. They are few, addresses may be thousands. */
function announced({ endpoints, addresses }: HostFacts): Record<"present" | "absent", Set<string>> {
  const found = { present: new Set<string>(), absent: new Set<string>() };
  for (const endpoint of endpoints) {
    if (!(endpoint.flags & ENDPOINT_FLAG.signal)) continue;
    const isThere = addresses.some(({ address }) => address === endpoint.address);
    found[isThere ? "present" : "absent"].add(endpointKey(endpoint));
  }
  return found;
}
