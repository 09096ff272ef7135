import { type Route, RT_TABLE, RTN } from "../wire/index.ts";

/** The unicast routes of the main table by what a plan asks for: sorted out once a plan, not anew for each address. */
export class MainRoutes {
  readonly #byInterface = new Map<number, Route[]>();
  readonly #defaults = new Map<number, Route[]>();
  readonly #best = new Map<number, Route>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      if (route.table !== RT_TABLE.MAIN || route.type !== RTN.UNICAST) continue;
      const { family, outputInterface, destinationLength, priority } = route;
      put(this.#byInterface, keyOf(outputInterface, family), route);
      if (destinationLength !== 0) continue;
      put(this.#defaults, keyOf(outputInterface, family), route);
      const best = this.#best.get(family);
      if (!best || priority < best.priority) this.#best.set(family, route);
    }
  }

  /** Those that leave by this interface. */
  of(interfaceIndex: number, family: number): readonly Route[] {
    return this.#byInterface.get(keyOf(interfaceIndex, family)) ?? NONE;
  }

  /** The default routes that leave by this interface. */
  defaultsOf(interfaceIndex: number, family: number): readonly Route[] {
    return this.#defaults.get(keyOf(interfaceIndex, family)) ?? NONE;
  }

  /** The default route of the smallest metric, whichever its interface. */
  best(family: number): Route | undefined {
    return this.#best.get(family);
  }
}

const NONE: readonly Route[] = [];

/** AF_* numbers are below 256. */
function keyOf(interfaceIndex: number, family: number): number {
  return interfaceIndex * 256 + family;
}

function put(map: Map<number, Route[]>, key: number, route: Route): void {
  const list = map.get(key);
  if (list) list.push(route);
  else map.set(key, [route]);
}
