import { type Address, type Endpoint, ERRNO, sameAddress } from "../types/index.ts";
import type { Action, AddressAnnounce, RouteQuery, SubflowCreate } from "./actions.ts";
import { listenerOpened } from "./admin.ts";
import { BOUNDS } from "./bounds.ts";
import { inspect, settleHeld } from "./closing.ts";
import type { ActionFailed } from "./events.ts";
import { vanished } from "./lifecycle.ts";
import type { Connection } from "./model.ts";
import { sendAnnounce, sendCreate } from "./opening.ts";
import { consider } from "./plan.ts";
import { samePath } from "./policy.ts";
import { noteEnding } from "./retry.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";

/** Texts by which the kernel tells its EINVALs apart (net/mptcp/pm_userspace.c). */
const INVALID_TOKEN = "invalid token";
const NOT_USERSPACE = "userspace PM not selected";
const ID_CONFLICT = "did not match address and id";

/** The kernel took the action. A SYN that went out is not a subflow yet: nothing is concluded from it. */
export function done(state: State, action: Action, source: Address | undefined): void {
  if (action.type === "listener.open") {
    listenerOpened(state, action.id, 0);
    return;
  }
  if (action.type === "route.query") {
    routed(state, action, source);
    return;
  }
}

/** The kernel, or the host, refused. */
export function failed(state: State, event: ActionFailed): void {
  const { action, errno, message } = event;
  state.counters.failures++;
  if (action.type === "listener.open") {
    listenerOpened(state, action.id, errno);
    return;
  }
  if (!("token" in action)) return;
  const connection = state.connections.get(action.token);
  if (!connection) return;
  if (errno === ERRNO.EINVAL && message.includes(INVALID_TOKEN)) {
    state.forget(connection);
    return;
  }
  if (errno === ERRNO.EINVAL && message.includes(NOT_USERSPACE)) {
    disown(state, connection);
    return;
  }
  if (action.type === "subflow.create") createFailed(state, connection, action, event);
  else if (action.type === "address.announce") announceFailed(state, connection, action, event);
  else if (action.type === "route.query") routed(state, action, undefined);
  else if (action.type === "subflow.destroy") destroyFailed(state, connection, action.path, errno);
}

/** The in-kernel path manager has it: remembered, so that its later events are known for what they are, and left alone. */
function disown(state: State, connection: Connection): void {
  connection.owned = false;
  connection.removals = [];
  connection.held = [];
  state.timers.set(connection, undefined);
}

/** Routing has named a source, or knows no way: the announcement is served now. */
function routed(state: State, query: RouteQuery, source: Address | undefined): void {
  const connection = state.connections.get(query.token);
  const remote = connection?.remotes.find((candidate) => candidate.id === query.remoteId);
  if (!connection) return;
  const asked = remote?.state === "waiting" ? remote : undefined;
  if (asked) {
    // What the kernel would call an implicit endpoint: an id for an address that nobody configured.
    if (source && !sameAddress(source, connection.initial.local.address)) state.table.implicit(source);
    asked.source = source;
    asked.state = "known";
  }
  consider(state, connection, { type: "routed", remote: asked });
}

function createFailed(state: State, connection: Connection, action: SubflowCreate, event: ActionFailed): void {
  const subflow = connection.subflows.find((candidate) => candidate.createId === action.id);
  if (!subflow) return;
  if (event.message.includes(ID_CONFLICT) && connection.idConflicts < BOUNDS.idConflictsMax) {
    connection.idConflicts++;
    subflow.refused = true;
    inspect(state, connection);
    return;
  }
  connection.subflows = connection.subflows.filter((other) => other !== subflow);
  if (!subflow.probes) noteEnding(state, connection, subflow, event);
  settleHeld(state, connection);
  if (event.errno === ERRNO.ENOTCONN) tooEarly(connection, subflow);
  // A failing CREATE makes the kernel forget the address, also when it was announced (#403 of the kernel's tracker).
  const { address } = action.local;
  const announced = connection.announced.find((candidate) => sameAddress(candidate.address, address));
  if (announced && event.errno !== ERRNO.ENOTCONN) sendAnnounce(state, connection, announced);
  consider(state, connection, { type: "failed", subflow, errno: event.errno });
}

/**
 * Not fully established after all (a server's ESTABLISHED can be ahead of the client's first data; an adopted client may have sent
 * none), or closing: as if never tried, until the next occasion or the ESTABLISHED that may still come.
 */
function tooEarly(connection: Connection, subflow: Subflow): void {
  connection.unlist(subflow.endpoint);
  connection.tooEarly = true;
}

function announceFailed(state: State, connection: Connection, action: AddressAnnounce, event: ActionFailed): void {
  const announced = connection.announced.find(
    (candidate) => candidate.address === action.address && candidate.port === action.port,
  );
  if (!announced) return;
  if (event.message.includes(ID_CONFLICT) && connection.idConflicts < BOUNDS.idConflictsMax) {
    connection.idConflicts++;
    announced.refused = true;
    inspect(state, connection);
    return;
  }
  connection.announced = connection.announced.filter((other) => other !== announced);
}

function destroyFailed(state: State, connection: Connection, path: Subflow["path"], errno: number): void {
  const subflow = connection.subflows.find((candidate) => samePath(candidate.path, path));
  if (subflow?.state !== "closing") return;
  if (errno === ERRNO.ESRCH) {
    vanished(state, connection, subflow);
    return;
  }
  // It lives on; the next audit sees it, and who counts it must know.
  subflow.become("kept");
}

/**
 * The kernel shares its list of ids with us: incoming joins and any-source connects take some. With the list at hand, what was
 * refused for its id is sent again with the id that the kernel has for the address, or one that is free. Returns what was sent again.
 */
export function settleIds(state: State, connection: Connection, kernelList: readonly Endpoint[]): readonly Subflow[] {
  if (connection.idConflicts === 0) return NONE;
  const resent = connection.subflows.filter((subflow) => subflow.refused && subflow.state === "creating");
  for (const subflow of resent) {
    const { localId, path } = subflow;
    subflow.refused = false;
    subflow.localId = idFor(state, kernelList, { localId, address: path.local.address, port: 0 });
    connection.rename(subflow.endpoint, subflow.localId);
    sendCreate(state, connection, subflow);
  }
  for (const announced of connection.announced) {
    if (!announced.refused) continue;
    announced.refused = false;
    announced.localId = idFor(state, kernelList, announced);
    connection.rename(announced.endpoint, announced.localId);
    sendAnnounce(state, connection, announced);
  }
  return resent;
}

const NONE: readonly Subflow[] = [];

/** The id under which the kernel takes the address: its own, else ours if it is free, else a free one, else ours. */
function idFor(
  state: State,
  kernelList: readonly Endpoint[],
  { address, port, localId }: { address: Address; port: number; localId: number },
): number {
  if (localId === 0) return 0;
  const listed = kernelList.find((entry) => sameAddress(entry.address, address) && entry.port === port);
  if (listed) return listed.id;
  const taken = new Set(kernelList.map((entry) => entry.id));
  if (!taken.has(localId)) return localId;
  for (let id = 1; id <= 255; id++) if (!taken.has(id) && !state.table.byId(id)) return id;
  return localId;
}
