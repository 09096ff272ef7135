import { type Address, type AddressId, sameAddress } from "../types/index.ts";
import { BOUNDS } from "./bounds.ts";
import type { Connection } from "./model.ts";
import type { ConnectionPlan, PlannedAnnouncement, PlannedSubflow, SubflowView } from "./policy.ts";
import type { State } from "./state.ts";

/**
 * Asks the policy what should be. undefined: it threw or planned nonsense. Nothing of such a plan is carried out, so that what the
 * last good one led to stays; the next occasion asks again.
 */
export function consult(state: State, connection: Connection, passDue: boolean): ConnectionPlan | undefined {
  connection.passDue = passDue;
  let reason: string | undefined;
  try {
    const plan = state.policy.plan(connection);
    reason = faultOf(connection, plan);
    if (reason === undefined) {
      if (connection.refusal) connection.refusal.standing = false;
      return plan;
    }
  } catch (error) {
    reason = messageOf(error);
  } finally {
    connection.passDue = false;
  }
  refuse(state, connection, reason);
  return undefined;
}

/** The text of what a policy threw, cut to what a log line takes. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : `it threw a ${typeof error}`;
  return message.slice(0, BOUNDS.reasonMax);
}

function refuse(state: State, connection: Connection, reason: string): void {
  state.counters.refusedPlans++;
  const policy = state.policy.name;
  const reported = connection.refusal?.policy === policy;
  connection.refusal = { policy, reason, standing: true };
  if (!reported) state.act({ type: "policy.report", token: connection.token, policy, reason });
}

/** What is wrong with a plan; undefined: nothing. Every plan passes here: no closure, no list of its own. */
function faultOf(connection: Connection, plan: ConnectionPlan): string | undefined {
  const fault = sizeFault(plan) ?? counterFault(plan) ?? announcementsFault(connection, plan.announcements);
  if (fault !== undefined) return fault;
  for (const subflow of plan.subflows) {
    const wrong = subflow.state === "planned" ? subflowFault(connection, subflow) : strangerFault(connection, subflow);
    if (wrong !== undefined) return wrong;
  }
  for (const id of plan.spent) if (!isEndpoint(connection, id)) return `endpoint ${id} is spent, which there is not`;
  for (const { remote } of plan.served) if (!isAnnouncement(connection, remote.id)) return notAnnounced(remote.id);
  for (const { id } of plan.queries) if (!isAnnouncement(connection, id)) return notAnnounced(id);
  return undefined;
}

function sizeFault({ subflows, announcements, spent, served, queries }: ConnectionPlan): string | undefined {
  return (
    listFault("subflows", subflows, BOUNDS.subflowsMax) ??
    listFault("announcements", announcements, BOUNDS.plannedMax) ??
    listFault("spent", spent, BOUNDS.plannedMax) ??
    listFault("served", served, BOUNDS.plannedMax) ??
    listFault("queries", queries, BOUNDS.plannedMax)
  );
}

function listFault(name: string, list: unknown, max: number): string | undefined {
  if (!Array.isArray(list)) return `${name} is no list`;
  return list.length > max ? `${list.length} ${name}, at most ${max} are possible` : undefined;
}

function counterFault(plan: ConnectionPlan): string | undefined {
  if (!isId(plan.localAddressesUsed)) return `localAddressesUsed is ${plan.localAddressesUsed}`;
  const { settled, acceptsAddresses, acceptsSubflows } = plan;
  const wrong =
    typeof settled !== "boolean" || typeof acceptsAddresses !== "boolean" || typeof acceptsSubflows !== "boolean";
  return wrong ? "settled, acceptsAddresses or acceptsSubflows is neither true nor false" : undefined;
}

/** Only what the engine itself has shown can be kept. */
function strangerFault(connection: Connection, subflow: SubflowView): string | undefined {
  for (const known of connection.subflows) if (known === subflow) return undefined;
  return "a subflow is kept that there is not";
}

function subflowFault(connection: Connection, planned: PlannedSubflow): string | undefined {
  const { endpoint, local, localId, remote, remoteId, interfaceIndex, answers } = planned;
  if (!isId(localId) || !isId(remoteId)) return `subflow of ids ${localId} and ${remoteId}, 0 to 255 are possible`;
  if (!isLocal(connection, local)) return `subflow from ${local}, which is no endpoint and was not named by routing`;
  if (!isRemote(connection, remote.address)) return `subflow to ${remote.address}, which is not known of the peer`;
  if (!isWithin(remote.port, 1, 65_535)) return `subflow to port ${remote.port}`;
  // The kernel checks neither of these two.
  const isInitial = sameAddress(local, connection.initial.local.address);
  if (localId === 0 && !isInitial) return `subflow of id 0 from ${local}, which is not the initial address`;
  if (remoteId === 0 && connection.denyJoinId0) return "subflow to remote id 0, which the peer denies";
  if (endpoint !== 0 && !isEndpoint(connection, endpoint)) return `subflow of endpoint ${endpoint}, which there is not`;
  if (!isWithin(interfaceIndex, 0, 0x7fff_ffff)) return `subflow on interface ${interfaceIndex}`;
  return isWithin(answers, -1, 255) ? undefined : `subflow in answer to announcement ${answers}`;
}

function announcementsFault(connection: Connection, planned: readonly PlannedAnnouncement[]): string | undefined {
  for (let index = 0; index < planned.length; index++) {
    const { endpoint: id, localId, address, port } = planned[index] as PlannedAnnouncement;
    const endpoint = connection.endpoints.find((candidate) => candidate.id === id);
    if (!endpoint) return `endpoint ${id} is announced, which there is not`;
    if (endpoint.address !== address || endpoint.port !== port) return `${address} is announced as endpoint ${id}`;
    if (!isWithin(localId, 1, 255)) return `id ${localId} is announced, 1 to 255 are possible`;
    const twice =
      planned.findIndex((other) => other.localId === localId) < index ||
      connection.announced.some((other) => other.localId === localId && other.endpoint !== id);
    if (twice) return `id ${localId} is announced for two addresses`;
  }
  return undefined;
}

function isAnnouncement({ remotes }: Connection, id: AddressId): boolean {
  for (const remote of remotes) if (remote.id === id) return true;
  return false;
}

const notAnnounced = (id: AddressId): string => `announcement ${id} is served, which the peer did not make`;

function isEndpoint({ endpoints }: Connection, id: AddressId): boolean {
  for (const endpoint of endpoints) if (endpoint.id === id) return true;
  return false;
}

/** An endpoint's, the initial one, or what routing has named as source. */
function isLocal({ endpoints, initial, remotes }: Connection, address: Address): boolean {
  for (const endpoint of endpoints) if (endpoint.address === address) return true;
  for (const { source } of remotes) if (source === address) return true;
  return sameAddress(initial.local.address, address);
}

/** The initial one, one that the peer announced, or where a subflow goes to. */
function isRemote({ initial, remotes, subflows }: Connection, address: Address): boolean {
  if (sameAddress(initial.remote.address, address)) return true;
  for (const remote of remotes) if (sameAddress(remote.address, address)) return true;
  for (const { path } of subflows) if (sameAddress(path.remote.address, address)) return true;
  return false;
}

function isId(value: number): boolean {
  return isWithin(value, 0, 255);
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
