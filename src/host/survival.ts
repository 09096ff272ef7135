import { type Address, type ConnectionLife, unmap } from "../types/index.ts";
import type { HostChange } from "./actions.ts";
import { endpointKey, type HostFacts } from "./facts.ts";
import { linkObstacle } from "./usable.ts";

/** The local addresses of the subflows that one connection lives by, v4-mapped ones as IPv4. */
export type Lifeline = ReadonlySet<Address>;

/** What the connections of the in-kernel path manager live by. */
export function lifelinesOf(connections: readonly ConnectionLife[]): Lifeline[] {
  return connections.filter(isServed).map(({ subflows }) => {
    const works = subflows.filter(({ state }) => state === "established" || state === "close-wait");
    return new Set(works.map(({ path }) => unmap(path.local.address)));
  });
}

/** It closes nothing of what was plain TCP from its handshake on, nor what userspace has (measured on Linux 6.18). */
function isServed({ fallback, remoteKeyReceived, pathManager }: ConnectionLife): boolean {
  return pathManager !== "userspace" && (!fallback || remoteKeyReceived);
}

/** An endpoint that should go and stays, because so many connections have nothing else. */
export interface SparedEndpoint {
  readonly key: string;
  readonly connections: number;
}

type Deletion = Extract<HostChange, { readonly type: "endpoint.delete" }>;

/**
 * The in-kernel path manager closes every subflow from an endpoint that is deleted, the last one of a connection included. So an
 * endpoint goes only where each connection that uses it has a subflow from another address, one that the host still has, on a
 * link that carries packets, and that is not to go itself.
 */
export function spareLastPaths(
  actions: readonly HostChange[],
  lifelines: readonly Lifeline[],
  facts: HostFacts,
): { readonly permitted: readonly HostChange[]; readonly spared: readonly SparedEndpoint[] } {
  const usable = usableAddresses(facts);
  for (const action of actions) if (action.type === "endpoint.delete") usable.delete(action.address);
  const spared: SparedEndpoint[] = [];
  for (const action of actions) {
    if (action.type !== "endpoint.delete") continue;
    const connections = dependents(action, lifelines, usable);
    if (connections > 0) spared.push({ key: endpointKey(action), connections });
  }
  if (spared.length === 0) return { permitted: actions, spared };
  const keys = new Set(spared.map(({ key }) => key));
  // What is changed by deleting and adding waits as a whole.
  const isHeld = (action: HostChange): boolean =>
    (action.type === "endpoint.delete" && keys.has(endpointKey(action))) ||
    (action.type === "endpoint.add" && keys.has(endpointKey(action.endpoint)));
  return { permitted: actions.filter((action) => !isHeld(action)), spared };
}

function dependents({ address }: Deletion, lifelines: readonly Lifeline[], usable: ReadonlySet<Address>): number {
  let count = 0;
  for (const lifeline of lifelines) {
    if (!lifeline.has(address)) continue;
    if (![...lifeline].some((other) => other !== address && usable.has(other))) count++;
  }
  return count;
}

function usableAddresses({ links, addresses }: HostFacts): Set<Address> {
  const carrying = new Set(links.filter((link) => linkObstacle(link) === undefined).map(({ index }) => index));
  return new Set(
    addresses
      .filter(({ interfaceIndex, unrouted }) => carrying.has(interfaceIndex) && !unrouted)
      .map(({ address }) => address),
  );
}
