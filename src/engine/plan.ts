import { type Address, ENDPOINT_FLAG, type Millis, sameAddress, unmap } from "../types/index.ts";
import { setBackup } from "./backup.ts";
import { destroy, replace } from "./closing.ts";
import { consult, heardRemote } from "./consult.ts";
import type { PolicyPlanned } from "./events.ts";
import type { Connection } from "./model.ts";
import { announce, create } from "./opening.ts";
import { carryOut } from "./persist.ts";
import type { ConnectionPlan, Occasion, RemoteAddressView, Wanted } from "./policy.ts";
import { shortenWaits } from "./retry.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";

/** Asks the policy for its plan and brings the connection towards it. Nothing can be done before it is established. */
export function consider(state: State, connection: Connection, occasion: Occasion): void {
  if (state.kept.length > 0) tellKept(state);
  if (!connection.owned || !connection.established) return;
  // How it is treated is not known yet.
  if (connection.ownerBy !== undefined) return arm(state, connection);
  const plan = consult(state, connection, occasion);
  if (plan) reconcile(state, connection, plan, occasion.type === "policy");
  arm(state, connection);
}

/** A policy in another process has answered. */
export function planned(state: State, connection: Connection, event: PolicyPlanned): void {
  if (!connection.owned || !connection.established || connection.ownerBy !== undefined) return;
  const isFirst = connection.remote?.plan === undefined;
  const plan = heardRemote(state, connection, event);
  if (plan) reconcile(state, connection, plan, isFirst);
  arm(state, connection);
}

/** Before anything else: what was to be closed stays (closing.ts). */
export function tellKept(state: State): void {
  const all = state.kept;
  state.kept = [];
  for (const { connection, endpoint } of all) consider(state, connection, { type: "kept", endpoint });
}

/** Who waits for another attempt need not wait any longer. */
export function networkChanged(state: State): void {
  for (const connection of state.connections.values()) {
    if (connection.attempts.length === 0) continue;
    shortenWaits(connection, state.now);
    consider(state, connection, { type: "network" });
  }
}

/** What is missing is made, what is too much is destroyed. @param isAnew another policy planned until now */
function reconcile(state: State, connection: Connection, plan: ConnectionPlan, isAnew: boolean): void {
  const { wakeAt } = plan;
  const earliest = state.now + state.timing.wakeMin;
  connection.wakeAt = typeof wakeAt === "number" ? Math.max(wakeAt, earliest) : Number.POSITIVE_INFINITY;
  connection.hasMoreToAnnounce = plan.wakeAt === "announceable";
  const unwanted = judge(state, connection, plan.subflows, isAnew);
  if (!connection.treatment.triesAgain) {
    for (const endpoint of plan.announcements ?? NONE) announce(state, connection, endpoint);
    if (unwanted.length > 0) destroy(state, connection, unwanted);
    for (const { open, backup } of plan.subflows) if (open) create(state, connection, open, backup);
  } else {
    // Those that go make room for those that come, and go when these are there.
    for (const subflow of unwanted) subflow.become("closed");
    const opened = carryOut(state, connection, plan);
    if (unwanted.length > 0) replace(state, connection, unwanted, opened);
  }
  for (const remote of plan.ask ?? NONE) query(state, connection, remote);
}

const NONE: readonly never[] = [];

/** Sees to the subflows that stay; returns the others. */
function judge(state: State, connection: Connection, wanted: readonly Wanted[], isAnew: boolean): readonly Subflow[] {
  let unwanted: Subflow[] | undefined;
  for (const subflow of connection.subflows) {
    if (subflow.state === "closing" || subflow.probes) continue;
    const kept = isForbidden(state, connection, subflow) ? undefined : wishFor(subflow, wanted);
    if (!kept) {
      unwanted ??= [];
      unwanted.push(subflow);
      continue;
    }
    if (subflow.state === "arrived") subflow.become("admitted");
    // One that is being opened asks for it in its SYN.
    const usual = isAnew ? backupByEndpoint(connection, subflow) : undefined;
    const backup = kept.backup ?? backupByRule(state, connection, subflow) ?? usual;
    if (subflow.quarantinedUntil !== undefined) {
      subflow.backupOtherwise = backup ?? subflow.backupOtherwise;
      continue;
    }
    if (backup !== undefined && backup !== subflow.backup && subflow.state !== "creating")
      setBackup(state, connection, subflow, backup);
  }
  return unwanted ?? NONE;
}

/** A rule says that nothing is to go by its interface: it ends when another subflow is there. */
function isForbidden({ interfaceNames }: State, { treatment }: Connection, { path }: Subflow): boolean {
  return treatment.triesAgain && treatment.forbids(path.local.address, interfaceNames);
}

/** What a rule says of its interface; undefined: nothing. */
function backupByRule({ interfaceNames }: State, { treatment }: Connection, { path }: Subflow): true | undefined {
  return treatment.isBackup(path.local.address, interfaceNames) || undefined;
}

/** What its endpoint says: another policy may have made it backup, and this one says nothing of it. */
function backupByEndpoint({ endpoints }: Connection, { path }: Subflow): boolean {
  const endpoint = endpoints.find(({ address }) => sameAddress(address, path.local.address));
  return endpoint !== undefined && (endpoint.flags & ENDPOINT_FLAG.backup) !== 0;
}

function wishFor(subflow: Subflow, wanted: readonly Wanted[]): Wanted | undefined {
  for (const wish of wanted) if (wish.keep === subflow) return wish;
  return undefined;
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

/** Sets the connection's one timer to the earliest of what it waits for. */
export function arm(state: State, connection: Connection): void {
  let due: Millis = connection.wakeAt;
  if (connection.announceAt > 0 && connection.hasMoreToAnnounce) due = Math.min(due, connection.announceAt);
  if (connection.ownerBy !== undefined) due = Math.min(due, connection.ownerBy);
  if (connection.removals.length > 0 && connection.removeAt < due) due = connection.removeAt;
  for (const subflow of connection.subflows) {
    if (subflow.state === "creating" && subflow.deadline < due) due = subflow.deadline;
    if (subflow.quarantinedUntil !== undefined && subflow.quarantinedUntil < due) due = subflow.quarantinedUntil;
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
