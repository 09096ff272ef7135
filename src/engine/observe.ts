import { ENDPOINT_FLAG, ERRNO, type SubflowInfo, sameAddress } from "../types/index.ts";
import { answered } from "./alarms.ts";
import { BOUNDS } from "./bounds.ts";
import { destroyLate, settleHeld } from "./closing.ts";
import { beginMemory } from "./consult.ts";
import type { ObservedConnection } from "./events.ts";
import { becomeOpened, created, findSubflow, isListeningPort, vanished } from "./lifecycle.ts";
import type { Connection } from "./model.ts";
import { settleIds } from "./outcome.ts";
import { arm, consider } from "./plan.ts";
import { noteEnding } from "./retry.ts";
import type { State } from "./state.ts";
import { Subflow } from "./subflow.ts";
import { watchFor } from "./treat.ts";

/** The whole namespace: what is unknown is adopted, what is missing is forgotten, the rest compared. */
export function snapshotTaken(state: State, connections: readonly ObservedConnection[]): void {
  state.counters.resyncs++;
  state.resyncedAt = state.now;
  const seen = new Set<number>();
  for (const observed of connections) {
    seen.add(observed.connection.token);
    compare(state, observed);
  }
  for (const connection of state.connections.values()) {
    if (!seen.has(connection.token)) state.forget(connection);
  }
}

/** The answer to a look. What was asked for after it cannot be in there. */
export function inspected(state: State, observed: ObservedConnection): void {
  const known = state.connections.get(observed.connection.token);
  const [asked = Number.POSITIVE_INFINITY, ...rest] = known?.inspections ?? [];
  if (known) known.inspections = rest;
  compare(state, observed, asked);
}

/** One connection against what is remembered of it. */
function compare(state: State, observed: ObservedConnection, asked = Number.POSITIVE_INFINITY): void {
  const known = state.connections.get(observed.connection.token);
  if (!known) {
    adopt(state, observed);
    return;
  }
  if (observed.connection.fallback) known.owned = false;
  const resent = settleIds(state, known, observed.localAddresses);
  const isYounger = ({ state: at, createId }: Subflow): boolean => at === "creating" && createId > asked;
  const missing = new Set(known.subflows.filter((subflow) => !resent.includes(subflow) && !isYounger(subflow)));
  let arrived: Subflow | undefined;
  const overdue: Subflow[] = [];
  for (const info of observed.connection.subflows.filter(isAlive)) {
    const subflow = findSubflow(known, info);
    if (!subflow) arrived = remember(state, known, info, known.owned ? "arrived" : "established") ?? arrived;
    else if (missing.delete(subflow) && !refresh(state, known, subflow, info)) overdue.push(subflow);
  }
  // None of them counts any more when the first one's loss is thought over.
  if (missing.size > 0) known.subflows = known.subflows.filter((subflow) => !missing.has(subflow));
  for (const subflow of missing) {
    if (subflow.state === "creating") noteEnding(state, known, subflow, TIMED_OUT);
    vanished(state, known, subflow);
  }
  // Closed only when it is known what else is left.
  if (overdue.length > 0) destroyLate(state, known, overdue);
  learnPace(state, known, observed);
  const begins = !known.established && (arrived !== undefined || isEstablished(observed));
  if (begins) known.established = true;
  if (begins) consider(state, known, { type: "established", again: false });
  else if (arrived) consider(state, known, { type: "opened", subflow: arrived });
  else arm(state, known);
  settleHeld(state, known);
}

const TIMED_OUT = { errno: ERRNO.ETIMEDOUT };

/** An echo of an ADD_ADDR is there after a round trip, and a quarter of it for what the peer does. */
function learnPace({ timing }: State, connection: Connection, { connection: { subflows } }: ObservedConnection): void {
  const trips = subflows.filter(isAlive).map(({ rtt }) => rtt / 1000);
  const longest = Math.max(0, ...trips);
  if (connection.announcePace === 0 || longest === 0) return;
  connection.announcePace = Math.min(timing.announcePaceMax, Math.max(timing.announcePaceMin, 1.25 * longest));
  if (connection.announceAt > 0) connection.announceAt = connection.announcedAt + connection.announcePace;
}

/** Neither closed nor on its way out. */
function isAlive({ state }: SubflowInfo): boolean {
  return state === "established" || state === "syn-sent" || state === "syn-recv" || state === "close-wait";
}

function isEstablished({ connection }: ObservedConnection): boolean {
  return connection.state === "established" && connection.subflows.some((subflow) => subflow.fullyEstablished);
}

/** False: it should be there no longer. */
function refresh(state: State, connection: Connection, subflow: Subflow, info: SubflowInfo): boolean {
  subflow.path = info.path;
  subflow.backupByPeer = info.backupRemote;
  if (info.state === "established") {
    subflow.alive = true;
    subflow.since ??= state.now;
    watchFor(state, connection);
  }
  if (subflow.state === "closing") return false;
  if (subflow.state !== "creating") return true;
  if (info.state === "established") {
    becomeOpened(state, connection, subflow);
    answered(state, connection, subflow);
  }
  // A SYN that has had its time: now that its port is known, it can be ended.
  else if (subflow.asked) {
    noteEnding(state, connection, subflow, TIMED_OUT);
    return false;
  }
  return true;
}

/** Returns it when it is a join of the peer's that is to be judged. */
function remember(
  state: State,
  connection: Connection,
  info: SubflowInfo,
  judged: "arrived" | "established",
): Subflow | undefined {
  if (connection.subflows.length >= BOUNDS.subflowsMax) {
    state.counters.bounded++;
    if (judged === "arrived") state.act({ type: "subflow.destroy", token: connection.token, path: info.path });
    return undefined;
  }
  const initiated = info.initiated ?? !isListeningPort(connection, info.path.local.port);
  const established = initiated ? "established" : judged;
  const subflow = new Subflow({
    state: info.state === "syn-sent" ? "creating" : established,
    path: info.path,
    localId: info.localId,
    remoteId: info.remoteId,
    join: info.join,
    initiated,
    backup: info.backupLocal,
  });
  subflow.backupByPeer = info.backupRemote;
  subflow.interfaceIndex = info.interfaceIndex;
  subflow.deadline = state.now + state.timing.pendingMax;
  if (subflow.state !== "creating") subflow.since = state.now;
  connection.add(subflow);
  watchFor(state, connection);
  return subflow.state === "arrived" ? subflow : undefined;
}

/** A connection that was there before us: what the kernel still knows tells what was used, announced and accepted. */
function adopt(state: State, observed: ObservedConnection): void {
  const { connection: facts, localAddresses } = observed;
  if (facts.state !== "established" || facts.pathManager !== "userspace" || facts.fallback) return;
  const side =
    facts.side ?? (facts.subflows.some((subflow) => subflow.join && subflow.initiated) ? "client" : "server");
  const connection = created(state, {
    type: "connection.created",
    token: facts.token,
    side,
    path: facts.path,
    denyJoinId0: false,
  });
  if (!connection) return;
  connection.subflows = [];
  for (const info of facts.subflows) if (isAlive(info)) remember(state, connection, info, "established");
  recall(state, connection, localAddresses);
  if (connection.ownerBy === undefined) beginMemory(state, connection);
  if (!isEstablished(observed)) return;
  connection.established = true;
  consider(state, connection, { type: "established", again: false });
}

/** What the kernel's list of local addresses and the living subflows tell about endpoints. */
function recall(state: State, connection: Connection, localAddresses: ObservedConnection["localAddresses"]): void {
  for (const endpoint of state.table.list) {
    const entry = localAddresses.find((e) => sameAddress(e.address, endpoint.address) && e.port === endpoint.port);
    const lives = connection.subflows.some(
      (s) => s.join && s.initiated && sameAddress(s.path.local.address, endpoint.address),
    );
    const announced = entry !== undefined && (entry.flags & ENDPOINT_FLAG.signal) !== 0;
    const connected = lives || (entry !== undefined && (entry.flags & ENDPOINT_FLAG.subflow) !== 0);
    if (entry && entry.id !== endpoint.id) connection.otherIds = [...connection.otherIds, [endpoint.id, entry.id]];
    if (announced && endpoint.flags & ENDPOINT_FLAG.signal) {
      const { address, port, flags } = endpoint;
      const backup = (flags & ENDPOINT_FLAG.backup) !== 0;
      connection.announced = [
        ...connection.announced,
        { endpoint: endpoint.id, localId: entry.id, address, port, backup, refused: false },
      ];
      connection.list(endpoint.id);
    }
    if ((announced || connected) && endpoint.flags & ENDPOINT_FLAG.subflow) connection.list(endpoint.id);
  }
}
