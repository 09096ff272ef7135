import { ENDPOINT_FLAG, type Millis } from "../types/index.ts";
import type { HostChange } from "./actions.ts";
import { endpointKey, type HostFacts } from "./facts.ts";

/** An address that is renewed, or whose network service starts anew, is back by then. */
export const RETURN_MAX: Millis = 10_000;

/**
 * Announced addresses that have gone. Taking one back makes peers close what they opened to it, and not all of them join again when it
 * returns; without us they would not have noticed. So it is waited for.
 */
export class Absences {
  #until: ReadonlyMap<string, Millis> = new Map();

  /** When the next one is not waited for any longer. */
  get nextTick(): Millis | undefined {
    return this.#until.size === 0 ? undefined : Math.min(...this.#until.values());
  }

  onTick(now: Millis): boolean {
    return (this.nextTick ?? Number.POSITIVE_INFINITY) <= now;
  }

  /** Of what should be done, what may be done now. */
  hold(changes: readonly HostChange[], facts: HostFacts, now: Millis): readonly HostChange[] {
    const before = this.#until;
    const added = changes.filter(({ type }) => type === "endpoint.add").length;
    const isFull = facts.endpoints.length + added > facts.capacity.endpoints;
    const held = new Map<string, Millis>();
    const permitted = changes.filter((change) => {
      if (isFull || change.type !== "endpoint.delete" || change.foreign || !isAbsent(change, facts)) return true;
      const key = endpointKey(change);
      const until = before.get(key) ?? now + RETURN_MAX;
      if (until > now) held.set(key, until);
      return until <= now;
    });
    this.#until = held;
    return permitted;
  }
}

function isAbsent(
  { id, address }: Extract<HostChange, { readonly type: "endpoint.delete" }>,
  { endpoints, addresses }: HostFacts,
): boolean {
  const isAnnounced = endpoints.some((each) => each.id === id && (each.flags & ENDPOINT_FLAG.signal) !== 0);
  return isAnnounced && !addresses.some((each) => each.address === address);
}
