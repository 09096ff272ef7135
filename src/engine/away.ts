import type { Address, Endpoint, Millis } from "../types/index.ts";
import type { HostAddresses } from "./events.ts";
import type { Connection } from "./model.ts";
import { consider, subflowsFrom } from "./plan.ts";
import type { State } from "./state.ts";
import type { Outcome } from "./table.ts";
import { withdraw } from "./withdraw.ts";

/*
 * What a server's peers have opened only they can open again, and not every peer does. So a loss (a link, a route, an address that is renewed) takes
 * nothing back from them: when it is over all is as it was, as without us. An address that stays away is taken back.
 */

/** The endpoint is none for now. */
export function leave(state: State, id: number): Outcome<Endpoint> {
  const address = state.table.byId(id)?.address;
  const isThere = address !== undefined && state.admission.isOwn(address);
  return state.table.leave(id, isThere ? Number.POSITIVE_INFINITY : state.now + state.timing.returnMax);
}

/** Is what comes to the endpoint its peer's affair alone? */
export function isLeftToPeer(connection: Connection, endpoint: Endpoint): boolean {
  return connection.side === "server" && !subflowsFrom(connection, endpoint).some(({ initiated }) => initiated);
}

/** The addresses that this host has. */
export function addressesChanged(state: State, { addresses, metered, costs, interfaceNames }: HostAddresses): void {
  if (interfaceNames) nameInterfaces(state, interfaceNames);
  price(state, costs ?? NOTHING);
  state.metered = new Set(metered);
  state.admission.setOwnAddresses(addresses);
  for (const each of state.table.away) {
    if (state.admission.isOwn(each.endpoint.address)) each.until = Number.POSITIVE_INFINITY;
    else if (each.until === Number.POSITIVE_INFINITY) each.until = state.now + state.timing.returnMax;
  }
}

const NOTHING: ReadonlyMap<Address, number> = new Map();

/** What was foreseen or planned by other costs is void. */
function price(state: State, costs: ReadonlyMap<Address, number>): void {
  const before = state.costs;
  state.costs = costs;
  if (costs.size === before.size && [...costs].every(([address, cost]) => before.get(address) === cost)) return;
  state.treatmentChanges++;
  for (const connection of state.connections.values()) consider(state, connection, { type: "network" });
}

/** Rules and treatments go by these names: what was foreseen by others is void. */
function nameInterfaces(state: State, names: State["interfaceNames"]): void {
  const before = state.interfaceNames;
  state.interfaceNames = names;
  if (
    state.rules?.nameInterfaces &&
    (names.size !== before.size || [...names].some(([address, name]) => before.get(address) !== name))
  )
    state.treatmentChanges++;
}

/** When the next one is not waited for any longer; undefined: none is waited for. */
export function nextGone(state: State): Millis | undefined {
  let next: Millis | undefined;
  for (const { until } of state.table.away)
    if (until !== Number.POSITIVE_INFINITY && (next === undefined || until < next)) next = until;
  return next;
}

/** Takes back what has not come back. */
export function endGone(state: State): void {
  for (const each of [...state.table.away]) {
    if (each.until > state.now) continue;
    state.table.forget(each);
    for (const connection of state.connections.values()) {
      if (connection.owned && isLeftToPeer(connection, each.endpoint)) withdraw(state, connection, each.endpoint);
    }
  }
}
