import { type Address, type Dbm, unmap } from "../types/index.ts";
import { consider } from "./plan.ts";
import type { ConnectionView } from "./policy.ts";
import type { State } from "./state.ts";

/*
 * How strong Wi-Fi interfaces receive. Nobody but policies looks at it, and few do: which values they want to hear of is asked of the connections
 * that there are.
 */

/** The signal at a local address; undefined: not known, or no Wi-Fi. */
export function signalAt({ signals }: Pick<ConnectionView, "signals">, local: Address): Dbm | undefined {
  return signals.size === 0 ? undefined : signals.get(unmap(local));
}

/** On which side of some bounds two values are differs, or one of them is not known. */
export function isCrossing(before: Dbm | undefined, now: Dbm | undefined, bounds: readonly Dbm[]): boolean {
  if (before === undefined || now === undefined) return before !== now;
  return bounds.some((bound) => before < bound !== now < bound);
}

/** Bounds that the policy of some connection wants to hear of; none: nobody looks at signals. */
export function boundsOf({ attentive }: State): ReadonlySet<Dbm> {
  const bounds = new Set<Dbm>();
  for (const { owned, treatment } of attentive) if (owned) for (const bound of treatment.signals) bounds.add(bound);
  return bounds;
}

/** Who does not look at signals, or for whom none has crossed a bound, is not asked. */
export function signalsChanged(state: State, signals: State["signals"]): void {
  const before = state.signals;
  state.signals = signals;
  const changed = [...new Set([...before.keys(), ...signals.keys()])]
    .map((address) => [before.get(address), signals.get(address)] as const)
    .filter(([then, now]) => then !== now);
  if (changed.length === 0) return;
  // What a connection would get is another thing from now on.
  state.treatmentChanges++;
  for (const connection of [...state.attentive]) {
    const { signals: bounds } = connection.treatment;
    if (changed.some(([then, now]) => isCrossing(then, now, bounds))) consider(state, connection, { type: "signal" });
  }
}
