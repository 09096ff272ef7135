import { AF_INET, AF_INET6, type Family } from "../types/index.ts";
import type { MainRoutes } from "./main-routes.ts";

/**
 * Tells when a host has moved to another network: its best default route leads elsewhere. What the kernel learned of the one before (that it
 * drops MPTCP, `net.mptcp.blackhole_timeout`) says nothing of this one.
 */
export class Uplink {
  readonly #known = new Map<Family, string>();

  /** @returns whether it has moved since the last look; not where there is no way at all, and not at the first look */
  hasMoved(main: MainRoutes): boolean {
    let moved = false;
    for (const family of [AF_INET, AF_INET6] as const) {
      const best = main.best(family);
      if (!best) continue;
      const way = `${best.outputInterface} ${best.gateway ?? ""}`;
      const before = this.#known.get(family);
      this.#known.set(family, way);
      if (before !== undefined && before !== way) moved = true;
    }
    return moved;
  }
}
