import {
  type Address,
  type AddressId,
  ENDPOINT_FLAG,
  isMapped,
  type Millis,
  sameAddress,
  unmap,
} from "../types/index.ts";
import { BOUNDS } from "./bounds.ts";
import { cancelRemoval, destroy } from "./closing.ts";
import { consult } from "./consult.ts";
import { type Announced, type Connection, Subflow } from "./model.ts";
import type { ConnectionPlan, PlannedAnnouncement, PlannedSubflow, RemoteAddressView } from "./policy.ts";
import type { State } from "./state.ts";

/**
 * Asks the policy for its plan and brings the connection towards it.
 * `passDue`: the kernel would go through its endpoints now (mptcp_pm_create_subflow_or_signal_addr).
 */
export function replan(state: State, connection: Connection, passDue: boolean): void {
  if (!connection.owned || !connection.established) return;
  if (passDue || connection.remotes.length > 0) accountInitialAddress(state, connection);
  const plan = consult(state, connection, passDue);
  if (plan) {
    if (passDue) connection.passOwed = plan.queries.length > 0;
    reconcile(state, connection, plan);
  }
  arm(state, connection);
}

/** mptcp_mpc_endpoint_setup: once per connection, lazily: is the initial address an endpoint, and a backup one? */
function accountInitialAddress(state: State, connection: Connection): void {
  if (connection.accounted) return;
  connection.accounted = true;
  const { address, port } = connection.initial.local;
  const endpoint = state.table.byAddress(address, port);
  if (!endpoint) return;
  connection.use(endpoint.id);
  connection.initialEndpoint = endpoint.id;
  const initial = connection.subflows.find((subflow) => !subflow.join);
  if (initial && endpoint.flags & ENDPOINT_FLAG.backup) setBackup(state, connection, initial, true);
}

interface Wanted {
  readonly endpoint: AddressId;
  readonly localId: AddressId;
}

/** An id that is neither the endpoint's own nor 0 was chosen for this connection: it stays. */
function keepId(connection: Connection, { endpoint, localId }: Wanted): void {
  if (localId !== endpoint && localId !== 0) connection.rename(endpoint, localId);
}

/** Memory first, then what is missing is made and what is too much is destroyed. */
function reconcile(state: State, connection: Connection, plan: ConnectionPlan): void {
  for (const endpoint of plan.spent) connection.use(endpoint);
  connection.localAddressesUsed = plan.localAddressesUsed;
  connection.settled = plan.settled;
  connection.acceptsAddresses = plan.acceptsAddresses;
  connection.acceptsSubflows = plan.acceptsSubflows;
  for (const { remote, accepted } of plan.served) {
    const known = connection.remotes.find((candidate) => candidate.id === remote.id);
    if (known) known.state = "served";
    if (accepted && remote.id !== 0) connection.addressesAccepted++;
  }
  for (const announcement of plan.announcements) announce(state, connection, announcement);
  const existing = connection.subflows;
  const unwanted: Subflow[] = [];
  for (const subflow of existing) {
    if (subflow.state === "closing") continue;
    if (!plan.subflows.includes(subflow)) unwanted.push(subflow);
    else if (subflow.state === "arrived") subflow.state = "established";
  }
  if (unwanted.length > 0) destroy(state, connection, unwanted);
  for (const wanted of plan.subflows) if (wanted.state === "planned") create(state, connection, wanted);
  for (const remote of plan.queries) query(state, connection, remote);
}

function query(state: State, connection: Connection, remote: RemoteAddressView): void {
  const known = connection.remotes.find((candidate) => candidate.id === remote.id);
  if (!known) return;
  known.state = "waiting";
  const { address, port } = remote;
  state.act({
    type: "route.query",
    token: connection.token,
    remoteId: remote.id,
    remote: { address: unmap(address), port },
  });
}

/** Both ends in one family: an IPv4 source needs the IPv4 form of a v4-mapped remote address. */
function alike(local: Address, remote: Address): Address {
  return isMapped(remote) && !local.includes(":") ? unmap(remote) : remote;
}

function create(state: State, connection: Connection, wanted: PlannedSubflow): void {
  if (connection.subflows.length >= BOUNDS.subflowsMax) {
    state.counters.bounded++;
    return;
  }
  keepId(connection, wanted);
  const remote = { address: alike(wanted.local, wanted.remote.address), port: wanted.remote.port };
  const subflow = new Subflow({
    state: "creating",
    path: { local: { address: wanted.local, port: 0 }, remote },
    localId: wanted.localId,
    remoteId: wanted.remoteId,
    join: true,
    initiated: true,
    backup: wanted.backup,
  });
  subflow.interfaceIndex = wanted.interfaceIndex;
  subflow.endpoint = wanted.endpoint;
  subflow.answers = wanted.answers;
  connection.add(subflow);
  sendCreate(state, connection, subflow);
}

/** Sends the SUBFLOW_CREATE of a remembered subflow, for the first time or again with another id. */
export function sendCreate(state: State, connection: Connection, subflow: Subflow): void {
  cancelRemoval(state, connection, subflow.localId);
  subflow.deadline = state.now + state.timing.pendingMax;
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

function announce(state: State, connection: Connection, planned: PlannedAnnouncement): void {
  connection.announcedAt = state.now;
  connection.announceAt = state.now + (connection.announcePace || state.timing.announcePaceMin);
  // Its endpoint was given back for another try at its subflow (ENOTCONN): the announcement stands.
  if (connection.isAnnounced(planned.endpoint)) return;
  keepId(connection, planned);
  const announced: Announced = { ...planned, refused: false };
  connection.announced = [...connection.announced, announced];
  sendAnnounce(state, connection, announced);
}

/** Sends the ANNOUNCE of a remembered announcement, for the first time or again. */
export function sendAnnounce(state: State, connection: Connection, announced: Announced): void {
  const { localId, address, port, backup } = announced;
  cancelRemoval(state, connection, localId);
  state.act({ type: "address.announce", token: connection.token, localId, address, port, backup });
}

/** MP_PRIO on one subflow; nothing while its local port is not known. */
export function setBackup(state: State, connection: Connection, subflow: Subflow, backup: boolean): void {
  subflow.backup = backup;
  if (subflow.path.local.port === 0) return;
  state.act({ type: "subflow.setBackup", token: connection.token, path: subflow.path, backup });
}

/** Sets the connection's one timer to the earliest of what it waits for. */
export function arm(state: State, connection: Connection): void {
  let due: Millis = Number.POSITIVE_INFINITY;
  if (connection.announceAt > 0 && !connection.settled) due = connection.announceAt;
  if (connection.removals.length > 0 && connection.removeAt < due) due = connection.removeAt;
  for (const subflow of connection.subflows) {
    if (subflow.state === "creating" && subflow.deadline < due) due = subflow.deadline;
  }
  state.timers.set(connection, due === Number.POSITIVE_INFINITY ? undefined : due);
}

/** The subflows whose local address is the endpoint's (mptcp_pm_has_subflow_saddr): its port counts when it has one. */
export function subflowsFrom(connection: Connection, endpoint: { address: Address; port: number }): Subflow[] {
  return connection.subflows.filter(
    ({ state, path: { local } }) =>
      state !== "closing" &&
      sameAddress(local.address, endpoint.address) &&
      (endpoint.port === 0 || endpoint.port === local.port),
  );
}
