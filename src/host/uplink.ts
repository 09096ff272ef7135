import type { Family } from "../types/index.ts";
import { type Route, RT_TABLE, RTN } from "../wire/index.ts";

/**
 * Tells when a host has moved to another network: its best default route leads elsewhere. What the kernel learned of the one before (that it
 * drops MPTCP, `net.mptcp.blackhole_timeout`) says nothing of this one.
 */
export class Uplink {
  readonly #known = new Map<Family, string>();

  /** @returns whether it has moved since the last look; not where there is no way at all, and not at the first look */
  hasMoved(routes: readonly Route[]): boolean {
    let moved = false;
    for (const [family, { outputInterface, gateway }] of bestDefaults(routes)) {
      const way = `${outputInterface} ${gateway ?? ""}`;
      const before = this.#known.get(family);
      this.#known.set(family, way);
      if (before !== undefined && before !== way) moved = true;
    }
    return moved;
  }
}

function bestDefaults(routes: readonly Route[]): Map<Family, Route> {
  const best = new Map<Family, Route>();
  for (const route of routes) {
    const { family, table, type, destinationLength, priority } = route;
    if (destinationLength !== 0 || table !== RT_TABLE.MAIN || type !== RTN.UNICAST) continue;
    const known = best.get(family as Family);
    if (!known || priority < known.priority) best.set(family as Family, route);
  }
  return best;
}
