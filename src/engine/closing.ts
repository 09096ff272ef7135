import {
  type Address,
  type AddressId,
  assert,
  ENDPOINT_FLAG,
  type SocketAddress,
  sameAddress,
} from "../types/index.ts";
import { tellBackup } from "./backup.ts";
import { BOUNDS } from "./bounds.ts";
import type { Closing, Connection } from "./model.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";

/*
 * The one way by which subflows are closed. Law: the last subflow of a connection is never closed by us, whatever asks for it
 * (a lost carrier, address or route, a deleted endpoint, a limit, a policy). RM_ADDR counts as closing: the peer closes what it names.
 * What would end the connection is held: to policies and limits it is gone, and the deed is done as soon as another subflow works.
 */

/** Destroys subflows, without an RM_ADDR. */
export function destroy(state: State, connection: Connection, subflows: readonly Subflow[]): void {
  close(state, connection, { withdrawn: undefined, subflows });
}

/**
 * Withdraws a local id from the peer and destroys subflows with it. The peer has one RM_ADDR slot and RM_ADDR is never sent again,
 * so the second within `removePace` waits; its DESTROYs wait with it, because DESTROY makes the kernel forget the id.
 */
export function remove(
  state: State,
  connection: Connection,
  withdrawn: { readonly localId: AddressId; readonly address: Address },
  subflows: readonly Subflow[],
): void {
  close(state, connection, { withdrawn, subflows });
}

/** Destroys subflows that were to be closed before they were there. What is held as the last one is a subflow like others for now. */
export function destroyLate(state: State, connection: Connection, subflows: readonly Subflow[]): void {
  destroy(state, connection, subflows);
  for (const subflow of subflows)
    if (subflow.alive && isHeld(connection, subflow)) tellBackup(state, connection, subflow);
}

/** Destroys subflows whose place others take: when those are there, or will not be. */
export function replace(
  state: State,
  connection: Connection,
  subflows: readonly Subflow[],
  replacedBy: readonly Subflow[],
): void {
  close(state, connection, { withdrawn: undefined, subflows, replacedBy });
}

function close(state: State, connection: Connection, closing: Closing): void {
  // Who waits already must not overtake its own RM_ADDR.
  const fresh = closing.subflows.filter(
    (subflow) => !isAmong(connection.removals, subflow) && !isHeld(connection, subflow),
  );
  for (const subflow of fresh) subflow.become("closed");
  submit(state, connection, { ...closing, subflows: fresh });
}

function submit(state: State, connection: Connection, closing: Closing): void {
  if (isTheEnd(connection, closing) || isAwaited(connection, closing)) hold(state, connection, closing);
  else if (!closing.withdrawn) destroyBehindRemovals(state, connection, closing.subflows);
  else if (connection.removals.length >= BOUNDS.removalsMax) {
    state.counters.bounded++;
    sendDestroys(state, connection, closing.subflows);
  } else {
    connection.removals = [...connection.removals, closing];
    sendRemovals(state, connection);
  }
}

/** Beyond the bound nothing is remembered: the next comparison with the kernel finds what should be gone. */
function hold(state: State, connection: Connection, closing: Closing): void {
  if (connection.held.length < BOUNDS.removalsMax) connection.held = [...connection.held, closing];
  else state.counters.bounded++;
}

/** A DESTROY makes the kernel forget the address: where its RM_ADDR waits, the subflow waits with it. */
function destroyBehindRemovals(state: State, connection: Connection, subflows: readonly Subflow[]): void {
  let rest = subflows;
  const take = (waiting: Closing): Closing => {
    const its = rest.filter((subflow) => withdraws(waiting, subflow));
    if (its.length === 0) return waiting;
    rest = rest.filter((subflow) => !its.includes(subflow));
    return { ...waiting, subflows: [...waiting.subflows, ...its] };
  };
  if (connection.removals.length > 0) connection.removals = connection.removals.map(take);
  if (connection.held.length > 0) connection.held = connection.held.map(take);
  sendDestroys(state, connection, rest);
}

function withdraws({ withdrawn }: Closing, { localId, path }: Subflow): boolean {
  if (!withdrawn) return false;
  return withdrawn.localId === localId || sameAddress(withdrawn.address, path.local.address);
}

/** Sends the next removal if the slot is free; what has become the last subflow since it was asked for is held. */
export function sendRemovals(state: State, connection: Connection): void {
  while (state.now >= connection.removeAt) {
    const [next, ...rest] = connection.removals;
    if (!next?.withdrawn) return;
    connection.removals = rest;
    if (isTheEnd(connection, next)) {
      hold(state, connection, next);
      continue;
    }
    const { localId } = next.withdrawn;
    if (isShared(state, connection, next.withdrawn)) {
      sendDestroys(state, connection, next.subflows);
      continue;
    }
    connection.removeAt = state.now + state.timing.removePace;
    if (localId === 0 && connection.side === "server" && connection.treatment.triesAgain)
      connection.isInitialWithdrawn = true;
    state.act({ type: "address.remove", token: connection.token, localId });
    // Also what came from there since it was asked for: the peer closes all of them.
    const others = connection.subflows.filter((subflow) => subflow.localId === localId && subflow.state !== "closing");
    for (const subflow of others) subflow.become("closed");
    sendDestroys(state, connection, [...next.subflows, ...others]);
  }
}

/** The kernel gave the id of one address to another as well, having forgotten the first: RM_ADDR would withdraw the wrong one. */
function isShared(
  { table }: State,
  { otherIds, announced, subflows }: Connection,
  { localId, address }: NonNullable<Closing["withdrawn"]>,
): boolean {
  const isOther = (candidate: Address | undefined): boolean =>
    candidate !== undefined && !sameAddress(candidate, address);
  return (
    otherIds.some(([endpoint, id]) => id === localId && isOther(table.byId(endpoint)?.address)) ||
    announced.some((known) => known.localId === localId && isOther(known.address)) ||
    subflows.some((subflow) => subflow.localId === localId && isOther(subflow.path.local.address))
  );
}

/** The id is in use again before its RM_ADDR had its turn: the peer need not be told, only the subflows end. */
export function cancelRemoval(state: State, connection: Connection, localId: AddressId): void {
  const isOfId = ({ withdrawn }: Closing): boolean => withdrawn?.localId === localId;
  connection.held = connection.held.map((closing) =>
    isOfId(closing) ? { withdrawn: undefined, subflows: closing.subflows } : closing,
  );
  const queued = connection.removals.find(isOfId);
  if (!queued) return;
  connection.removals = connection.removals.filter((removal) => removal !== queued);
  submit(state, connection, { withdrawn: undefined, subflows: queued.subflows });
}

function sendDestroys(state: State, connection: Connection, subflows: readonly Subflow[]): void {
  let unknownPort = false;
  for (const subflow of subflows) {
    if (!connection.subflows.includes(subflow)) continue;
    assert(!subflow.alive || connection.subflows.some(isWorking), "the last subflow is never closed");
    if (subflow.path.local.port === 0) unknownPort = true;
    else state.act({ type: "subflow.destroy", token: connection.token, path: subflow.path });
  }
  // A SYN on its way: only the kernel knows its port. What it shows is destroyed when the answer comes.
  if (unknownPort) inspect(state, connection);
}

/**
 * To be called whenever another subflow may have become the connection's support: what was held is closed where it can be. What
 * came from an address that is an endpoint again, and is not being replaced, is as if nothing had been asked for.
 */
export function settleHeld(state: State, connection: Connection): void {
  if (connection.held.length === 0) return;
  const held: Closing[] = [];
  for (const closing of connection.held) {
    if (isReplacedByNothing(connection, closing)) restore(closing);
    else if (isTheEnd(connection, closing) && hasReturned(state, connection, closing))
      revive(state, connection, closing);
    else held.push(closing);
  }
  // RM_ADDR first: a DESTROY makes the kernel forget the id.
  held.sort((a, b) => Number(b.withdrawn !== undefined) - Number(a.withdrawn !== undefined));
  connection.held = [];
  for (const closing of held) submit(state, connection, closing);
}

function hasReturned(state: State, connection: Connection, { withdrawn, subflows }: Closing): boolean {
  const isBack = ({ address, port }: SocketAddress): boolean => {
    const endpoint = state.table.byAddress(address, port);
    return endpoint !== undefined && !(endpoint.flags & ENDPOINT_FLAG.implicit);
  };
  const isReplaced = (address: Address): boolean =>
    connection.subflows.some((s) => s.state === "creating" && sameAddress(s.path.local.address, address));
  if (withdrawn && subflows.length === 0) return isBack({ ...withdrawn, port: 0 });
  return subflows.every(({ path: { local } }) => isBack(local) && !isReplaced(local.address));
}

function restore({ subflows }: Pick<Closing, "subflows">): void {
  for (const subflow of subflows) subflow.become(subflow.alive ? "kept" : "awaited");
}

function revive(state: State, connection: Connection, { subflows }: Closing): void {
  restore({ subflows });
  for (const subflow of subflows) {
    const { address, port } = subflow.path.local;
    const endpoint = state.table.byAddress(address, port);
    if (!endpoint) continue;
    connection.list(endpoint.id);
    state.kept.push({ connection, endpoint });
  }
}

/** Asked to be closed, and kept because nothing else is left. */
export function isHeld(connection: Connection, subflow: Subflow): boolean {
  return isAmong(connection.held, subflow);
}

function isAmong(closings: readonly Closing[], subflow: Subflow): boolean {
  return closings.some(({ subflows }) => subflows.includes(subflow));
}

/** Opening before closing: what takes the place is on its way. */
function isAwaited({ subflows }: Connection, { replacedBy = [] }: Closing): boolean {
  return replacedBy.some((subflow) => subflow.state === "creating" && subflows.includes(subflow));
}

/** What was to take the place could not be had: what there is stays. */
function isReplacedByNothing({ subflows }: Connection, { replacedBy = [] }: Closing): boolean {
  // One that is gone keeps the state that it had.
  const isThere = (one: Subflow): boolean => subflows.includes(one) && (isWorking(one) || one.state === "creating");
  return replacedBy.length > 0 && !replacedBy.some(isThere);
}

/** RM_ADDR makes the peer close every subflow of the id, whether we name them or not. */
function isTheEnd({ subflows: all }: Connection, { withdrawn, subflows }: Closing): boolean {
  const isNamed = ({ localId }: Subflow): boolean => localId === withdrawn?.localId;
  if (all.some((subflow) => isWorking(subflow) && !isNamed(subflow))) return false;
  return all.some((subflow) => subflow.alive && (isNamed(subflow) || subflows.includes(subflow)));
}

function isWorking({ state }: Subflow): boolean {
  return state === "established" || state === "arrived";
}

/** Beyond, an answer was lost on the way; the oldest is forgotten. */
const INSPECTIONS_MAX = 8;

/** Asks what the kernel has of the connection. */
export function inspect(state: State, connection: Connection): void {
  const { token, subflows } = connection;
  const known = subflows.map(({ path, interfaceIndex }) => ({ path, interfaceIndex }));
  connection.inspections = [
    ...connection.inspections.slice(-INSPECTIONS_MAX),
    state.act({ type: "connection.inspect", token, subflows: known }),
  ];
}
