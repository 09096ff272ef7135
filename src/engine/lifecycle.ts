import { ERRNO, type Millis, type Path, sameAddress } from "../types/index.ts";
import { answered } from "./alarms.ts";
import { tellBackup } from "./backup.ts";
import { BOUNDS } from "./bounds.ts";
import { destroyLate, inspect, sendRemovals, settleHeld } from "./closing.ts";
import { beginMemory } from "./consult.ts";
import type {
  AddressAnnounced,
  ConnectionCreated,
  ConnectionEstablished,
  SubflowClosed,
  SubflowEstablished,
  SubflowPriority,
} from "./events.ts";
import { Connection } from "./model.ts";
import { arm, consider } from "./plan.ts";
import { type RemoteAddressView, samePath, sameSocketAddress } from "./policy.ts";
import { releaseDue } from "./quarantine.ts";
import { forgetFailures, noteEnding } from "./retry.ts";
import { probed } from "./silence.ts";
import type { State } from "./state.ts";
import { Subflow } from "./subflow.ts";
import { assign, ownerKnown, watchFor } from "./treat.ts";

/** Remembers a connection; again does no harm. undefined: the bound is reached. */
export function created(state: State, event: ConnectionCreated | ConnectionEstablished): Connection | undefined {
  const known = state.connections.get(event.token);
  if (known) {
    if (samePath(known.initial, event.path)) {
      // An adopted connection learns it here at last.
      known.denyJoinId0 ||= event.denyJoinId0;
      return known;
    }
    // Tokens are random: the same one with other addresses is a new connection whose predecessor's end was lost.
    state.forget(known);
  }
  if (state.connections.size >= BOUNDS.connectionsMax) {
    state.counters.bounded++;
    return undefined;
  }
  const connection = new Connection(state, event);
  state.connections.set(event.token, connection);
  if (assign(state, connection)) beginMemory(state, connection);
  state.counters.connections++;
  return connection;
}

/** From here on the kernel takes SUBFLOW_CREATE: the first plan. */
export function established(state: State, event: ConnectionEstablished): void {
  const connection = created(state, event);
  if (!connection || (connection.established && !connection.tooEarly)) return;
  const again = connection.established;
  connection.established = true;
  connection.tooEarly = false;
  watchFor(state, connection);
  consider(state, connection, { type: "established", again });
}

/** A join was completed, ours or the peer's. */
export function subflowEstablished(state: State, connection: Connection, event: SubflowEstablished): void {
  // The kernel takes joins only when fully established: an ESTABLISHED that was lost is known by this.
  connection.established = true;
  const known = findSubflow(connection, event);
  if (known) {
    known.path = event.path;
    known.backupByPeer = event.backup;
    known.localId = event.localId;
    known.alive = true;
    known.since ??= state.now;
    if (known.state === "closing") {
      destroyLate(state, connection, [known]);
      return;
    }
    if (known.state === "creating") becomeOpened(state, connection, known);
    if (known.probes && probed(state, connection, known, true)) return;
  }
  const subflow = known ?? arrive(state, connection, event);
  if (!subflow) return;
  answered(state, connection, subflow);
  watchFor(state, connection);
  consider(state, connection, { type: "opened", subflow });
  settleHeld(state, connection);
}

/** A subflow that we asked for is there. */
export function becomeOpened(state: State, connection: Connection, subflow: Subflow): void {
  subflow.become("opened");
  tellBackup(state, connection, subflow);
}

/** A join that is not one of our creates: the peer's, or one that somebody else asked the kernel for. undefined: one too many. */
function arrive(state: State, connection: Connection, event: SubflowEstablished): Subflow | undefined {
  const { token, path } = event;
  if (connection.subflows.length >= BOUNDS.subflowsMax) {
    state.counters.bounded++;
    if (connection.owned) state.act({ type: "subflow.destroy", token, path });
    return undefined;
  }
  const byPeer = isListeningPort(connection, path.local.port);
  const subflow = new Subflow({
    state: byPeer && connection.owned ? "arrived" : "established",
    path,
    localId: event.localId,
    remoteId: event.remoteId,
    join: true,
    initiated: !byPeer,
    backup: false,
  });
  subflow.backupByPeer = event.backup;
  subflow.interfaceIndex = event.interfaceIndex ?? 0;
  subflow.since = state.now;
  connection.add(subflow);
  noteImplicit(state, connection, subflow);
  return subflow;
}

/** Peers join the port of the initial subflow or one we announced; what we open has a port of its own. */
export function isListeningPort(connection: Connection, port: number): boolean {
  return port === connection.initial.local.port || connection.announced.some((announced) => announced.port === port);
}

/** mptcp_pm_kernel_get_local_id: an address in use that is no endpoint becomes an implicit one; the kernel chose this connection's id. */
function noteImplicit(state: State, connection: Connection, { path, localId }: Subflow): void {
  if (sameAddress(path.local.address, connection.initial.local.address)) return;
  const endpoint =
    state.table.byAddress(path.local.address, path.local.port) ?? state.table.implicit(path.local.address);
  if (!endpoint) return;
  if (connection.localId(endpoint) !== localId || connection.isTaken(localId, endpoint)) {
    connection.rename(endpoint.id, localId);
  }
}

/** A subflow has ended: its slot is free (mptcp_pm_subflow_check_next). */
export function subflowClosed(state: State, connection: Connection, event: SubflowClosed): void {
  const subflow = findSubflow(connection, event);
  // One whose port is not known yet is not the one that was known to be gone before.
  if (subflow?.path.local.port !== event.path.local.port && isHeardLate(connection, event.path)) return;
  if (!subflow) return;
  // That it was to end says nothing of the pair, nor does what only the peer can open again.
  const isMissed = subflow.state !== "closing" && subflow.initiated && !subflow.probes;
  if (subflow.probes) probed(state, connection, subflow, isAnswer(event.errno));
  if (isMissed) noteEnding(state, connection, subflow, { ...event, errno: event.errno ?? 0 });
  gone(state, connection, subflow);
}

/** Whoever refuses a join has heard of it. */
function isAnswer(errno: number | undefined): boolean {
  return errno === undefined || errno === 0 || errno === ERRNO.ECONNREFUSED || errno === ERRNO.ECONNRESET;
}

/** Its end was told by something else than its own event, which may come yet. */
export function vanished(state: State, connection: Connection, subflow: Subflow): void {
  if (subflow.path.local.port !== 0)
    connection.unheard = [...connection.unheard.slice(1 - BOUNDS.unheardMax), subflow.path];
  gone(state, connection, subflow);
}

function isHeardLate(connection: Connection, { local, remote }: Path): boolean {
  const late = connection.unheard.find(
    (path) => sameSocketAddress(path.local, local) && sameAddress(path.remote.address, remote.address),
  );
  if (late) connection.unheard = connection.unheard.filter((path) => path !== late);
  return late !== undefined;
}

/** Forgets a subflow and lets the policy use its slot. */
export function gone(state: State, connection: Connection, subflow: Subflow): void {
  connection.subflows = connection.subflows.filter((other) => other !== subflow);
  settleHeld(state, connection);
  if (connection.established) consider(state, connection, { type: "closed", subflow });
}

/** The peer wants the subflow used, or not. */
export function priority(connection: Connection, event: SubflowPriority): void {
  const subflow = findSubflow(connection, event);
  if (subflow) subflow.backupByPeer = event.backup;
}

/** An ADD_ADDR: kept, and given to the policy unless it repeats one that is dealt with. */
export function announced(state: State, connection: Connection, event: AddressAnnounced): void {
  const { remoteId: id, address, port } = event;
  const known = connection.remotes.find((remote) => remote.id === id);
  if (known?.state === "waiting") return;
  const fault = state.admission.fault(connection, address);
  // It repeats what nothing will come of.
  if (fault && known?.state === "refused" && known.address === address) return;
  const admitted = !fault && state.admission.takes(connection, state.now);
  if (!admitted) state.counters.bounded++;
  const standing = admitted ? "known" : "refused";
  if (known) {
    known.address = address;
    known.port = port;
    known.state = standing;
    known.source = undefined;
  } else {
    let kept = connection.remotes;
    if (kept.length >= BOUNDS.remotesMax) {
      const oldest =
        kept.find((remote) => remote.state === "refused") ?? kept.find((remote) => isIdle(connection, remote));
      state.counters.bounded++;
      if (!oldest) return;
      kept = kept.filter((remote) => remote !== oldest);
    }
    connection.remotes = [...kept, { id, address, port, state: standing, source: undefined }];
  }
  const remote = connection.remotes.find((candidate) => candidate.id === id);
  if (!admitted || !remote) return;
  forgetFailures(connection, address);
  consider(state, connection, { type: "announced", remote });
}

/**
 * The peer has no way to tell that its initial address is back: the userspace interface announces no id 0. So it is tried again, as if
 * the subflows there had failed.
 */
function noteInitialRemoteGone(state: State, connection: Connection): void {
  for (const subflow of connection.subflows) {
    if (subflow.initiated && subflow.remoteId === 0) noteEnding(state, connection, subflow, { errno: 0 });
  }
}

/** Nothing comes of it now. */
function isIdle({ subflows }: Connection, { id, state }: RemoteAddressView): boolean {
  return state !== "waiting" && !subflows.some(({ remoteId }) => remoteId === id);
}

/** An RM_ADDR: the kernel closes the subflows itself. */
export function removed(state: State, connection: Connection, remoteId: number): void {
  connection.remotes = connection.remotes.filter((remote) => remote.id !== remoteId);
  if (remoteId === 0) noteInitialRemoteGone(state, connection);
  const answered = connection.subflows.some((s) => s.remoteId === remoteId && s.initiated && s.state !== "closing");
  consider(state, connection, { type: "removed", remoteId, answered });
}

/** SYNs without an answer: the kernel is asked what has become of them. */
function askForLate(state: State, connection: Connection, now: Millis): void {
  let isAny = false;
  for (const subflow of connection.subflows) {
    if (subflow.state !== "creating" || subflow.deadline > now) continue;
    if (subflow.probes && isTooEarly(connection, subflow, now)) {
      subflow.deadline = now + LOOK;
      continue;
    }
    if (subflow.probes) probed(state, connection, subflow, false);
    subflow.asked = true;
    subflow.deadline = now + state.timing.pendingMax;
    isAny = true;
  }
  if (isAny) inspect(state, connection);
}

/** Nobody has looked since it went out: whether others are heard of is not known. Not for ever: there may be nobody who looks. */
function isTooEarly({ subflows }: Connection, { sentAt, askedUntil }: Subflow, now: Millis): boolean {
  return now < askedUntil && !subflows.some(({ measured }) => measured !== undefined && measured.at > sentAt);
}

/** From one look to the next, about. */
const LOOK: Millis = 20;

const UNKNOWN_OWNER = { socket: null, command: null };

/** The connection's timer is due: next announcement, next removal, a SYN without an answer. */
export function due(state: State, connection: Connection, now: Millis): void {
  if (connection.ownerBy !== undefined && connection.ownerBy <= now) ownerKnown(state, connection, UNKNOWN_OWNER);
  sendRemovals(state, connection);
  releaseDue(state, connection);
  askForLate(state, connection, now);
  const canAnnounce = connection.announceAt > 0 && connection.announceAt <= now && !isPaceAsked(state, connection);
  if (canAnnounce) connection.announceAt = 0;
  const isWanted = canAnnounce && connection.hasMoreToAnnounce;
  if (isWanted || connection.wakeAt <= now) {
    connection.wakeAt = Number.POSITIVE_INFINITY;
    consider(state, connection, { type: "wake" });
    return;
  }
  arm(state, connection);
}

/**
 * How far apart announcements go follows from the round trip, which is asked for when there is a second one to make. True: it was asked
 * for now, and until there is an answer the pace is the usual one.
 */
function isPaceAsked(state: State, connection: Connection): boolean {
  if (connection.announcePace > 0 || !connection.hasMoreToAnnounce) return false;
  connection.announcePace = state.timing.announcePace;
  connection.announceAt = connection.announcedAt + connection.announcePace;
  inspect(state, connection);
  return connection.announceAt > state.now;
}

function isForgotten(known: Path, { local, remote }: Path): boolean {
  return (
    remote.port === 0 && sameSocketAddress(local, known.local) && sameAddress(remote.address, known.remote.address)
  );
}

/**
 * The remembered subflow of this 4-tuple; one whose port is not known yet only where no other fits. What is destroyed during its SYN names the
 * remote port 0 (tcp_disconnect forgets it), and the local port tells which it was.
 */
export function findSubflow(connection: Connection, { path }: { path: Subflow["path"] }): Subflow | undefined {
  let candidate: Subflow | undefined;
  for (const subflow of connection.subflows) {
    if (!samePath(subflow.path, path) && !isForgotten(subflow.path, path)) continue;
    if (subflow.path.local.port !== 0) return subflow;
    candidate ??= subflow;
  }
  return candidate;
}
