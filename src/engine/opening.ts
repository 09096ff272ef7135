import { type Address, ENDPOINT_FLAG, type Endpoint, isMapped, unmap } from "../types/index.ts";
import { type Pace, takeOne } from "./allowance.ts";
import { BOUNDS } from "./bounds.ts";
import { cancelRemoval } from "./closing.ts";
import type { Announced, Connection } from "./model.ts";
import type { OpenPair } from "./policy.ts";
import type { State } from "./state.ts";
import { Subflow } from "./subflow.ts";

/** Both ends in one family: an IPv4 source needs the IPv4 form of a v4-mapped remote address. */
function alike(local: Address, remote: Address): Address {
  return isMapped(remote) && !local.includes(":") ? unmap(remote) : remote;
}

/**
 * A wish that fails is an occasion to wish again, and an address that comes and goes is one each time. As many as can be remembered, and
 * from then on so many more a second: nothing makes us send SYNs without end.
 */
const PACE: Pace = { burst: 32, perSecond: 10 };

function isGranted(state: State, connection: Connection): boolean {
  // Most connections never get so far: no allowance need be kept of them.
  if (connection.creations++ < BOUNDS.subflowsMax) return true;
  const { granted, ...left } = takeOne(connection.creationsLeft, PACE, state.now);
  connection.creationsLeft = left;
  return granted;
}

/** Asks for a subflow. undefined: there are too many to be remembered, or too many were asked for of late. */
export function create(
  state: State,
  connection: Connection,
  { local, remote }: OpenPair,
  backup = local.backup,
): Subflow | undefined {
  if (connection.subflows.length >= BOUNDS.subflowsMax || !isGranted(state, connection)) {
    state.counters.bounded++;
    return undefined;
  }
  const endpoint = local.endpoint === 0 ? undefined : state.table.byId(local.endpoint);
  const localId = endpoint ? keepId(connection, endpoint) : 0;
  const subflow = new Subflow({
    state: "creating",
    path: {
      local: { address: local.address, port: 0 },
      remote: { address: alike(local.address, remote.address), port: remote.port },
    },
    localId,
    remoteId: remote.id,
    join: true,
    initiated: true,
    backup,
  });
  subflow.interfaceIndex = local.interfaceIndex;
  subflow.endpoint = local.endpoint;
  connection.list(local.endpoint);
  connection.add(subflow);
  sendCreate(state, connection, subflow);
  return subflow;
}

/** The endpoint's id here; one that is neither its own nor 0 was chosen for this connection: it stays. */
function keepId(connection: Connection, endpoint: Endpoint): number {
  const localId = connection.localId(endpoint);
  if (localId !== endpoint.id && localId !== 0) connection.rename(endpoint.id, localId);
  return localId;
}

/** Sends the SUBFLOW_CREATE of a remembered subflow, for the first time or again with another id. */
export function sendCreate(state: State, connection: Connection, subflow: Subflow): void {
  cancelRemoval(state, connection, subflow.localId);
  const { pendingMax, attemptMax } = state.timing;
  subflow.deadline = state.now + (connection.treatment.triesAgain ? attemptMax : pendingMax);
  subflow.backupTold = subflow.backup && !state.createsNoBackup;
  subflow.createId = state.act({
    type: "subflow.create",
    token: connection.token,
    local: subflow.path.local,
    localId: subflow.localId,
    interfaceIndex: subflow.interfaceIndex,
    remote: subflow.path.remote,
    remoteId: subflow.remoteId,
    backup: subflow.backup,
  });
}

/** Tells the peer of an endpoint. The userspace interface has no ANNOUNCE for id 0 ("invalid addr id"): the peer knows that address. */
export function announce(state: State, connection: Connection, endpoint: Endpoint): void {
  connection.list(endpoint.id);
  // Its endpoint was given back for another try at its subflow (ENOTCONN): the announcement stands.
  if (connection.isInitialStill(endpoint)) return;
  connection.announcedAt = state.now;
  connection.announceAt = state.now + (connection.announcePace || state.timing.announcePaceMin);
  if (connection.isAnnounced(endpoint.id)) return;
  const { id, address, port, flags } = endpoint;
  const backup = (flags & ENDPOINT_FLAG.backup) !== 0;
  const announced: Announced = {
    endpoint: id,
    localId: keepId(connection, endpoint),
    address,
    port,
    backup,
    refused: false,
  };
  connection.announced = [...connection.announced, announced];
  sendAnnounce(state, connection, announced);
}

/** Sends the ANNOUNCE of a remembered announcement, for the first time or again. */
export function sendAnnounce(state: State, connection: Connection, announced: Announced): void {
  const { localId, address, port, backup } = announced;
  cancelRemoval(state, connection, localId);
  state.act({ type: "address.announce", token: connection.token, localId, address, port, backup });
}
