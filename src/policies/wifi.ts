import { type ConnectionView, type SubflowView, signalAt } from "../engine/index.ts";
import { type Address, type Dbm, sameAddress } from "../types/index.ts";
import type { Weakness } from "./succession.ts";

/*
 * A Wi-Fi that is walked away from gets weaker before it loses anything: who leaves it then loses nothing. What is not known of a signal changes
 * nothing.
 */

/** So much stronger must it be to be used again, and so much must another Wi-Fi be to take its place: what is received goes up and down by itself. */
export const MARGIN: Dbm = 5;

/** The signals to be told of, for a bound; none for 0, which is "off". */
export function boundsFor(bound: Dbm): readonly Dbm[] {
  return bound === 0 ? [] : [bound, bound + MARGIN];
}

/** What weak Wi-Fi means for a turn; undefined: nothing is known of any. */
export function weakness(view: ConnectionView, bound: Dbm): Weakness | undefined {
  if (bound === 0 || view.signals.size === 0) return undefined;
  const isBelow = (local: Address, least: Dbm): boolean => (signalAt(view, local) ?? 0) < least;
  const addressOf = ({ path }: SubflowView): Address => path.local.address;
  return {
    isWeak: (subflow) => isBelow(addressOf(subflow), bound),
    isWeakStill: (local) => isBelow(local, bound + MARGIN),
    isWorthIt: (local, current) => !isBelow(local, (signalAt(view, addressOf(current)) ?? 0) + MARGIN),
  };
}

/** In words: "its Wi-Fi signal is -84 dBm, below -80"; "": nothing is to be said. */
export function weaknessText(view: ConnectionView, local: Address, bound: Dbm): string {
  const signal = signalAt(view, local);
  if (bound === 0 || signal === undefined || signal >= bound + MARGIN) return "";
  const text = `its Wi-Fi signal is ${signal} dBm`;
  if (signal < bound) return `${text}, below ${bound}`;
  const isInUse = view.subflows.some(({ path, backup }) => !backup && sameAddress(path.local.address, local));
  return isInUse ? "" : `${text}; it is used again from ${bound + MARGIN} on`;
}
