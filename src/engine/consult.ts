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
  const message =
    error instanceof Error
      ? `${error.name}: ${error.message}`
      : `it threw something that is no Error: ${error === null ? "null" : typeof error}`;
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
  for (const id of plan.spent)
    if (!isEndpoint(connection, id)) return `it uses up endpoint ${id}, and there is no such endpoint`;
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
  if (!Array.isArray(list)) return `${name} is not a list`;
  return list.length > max ? `the list ${name} has ${list.length} entries; at most ${max} are possible` : undefined;
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
  return "it keeps a subflow that does not exist";
}

function subflowFault(connection: Connection, planned: PlannedSubflow): string | undefined {
  const { endpoint, local, localId, remote, remoteId, interfaceIndex, answers } = planned;
  if (!isId(localId) || !isId(remoteId)) return `a subflow has the ids ${localId} and ${remoteId}; an id is 0 to 255`;
  if (!isLocal(connection, local))
    return `a subflow comes from ${local}, which is neither an endpoint nor the answer of a route query`;
  if (!isRemote(connection, remote.address))
    return `a subflow goes to ${remote.address}, and the peer is not known to have that address`;
  if (!isWithin(remote.port, 1, 65_535)) return `a subflow goes to port ${remote.port}; a port is 1 to 65535`;
  // The kernel checks neither of these two.
  const isInitial = sameAddress(local, connection.initial.local.address);
  if (localId === 0 && !isInitial) return `a subflow from ${local} has id 0, which belongs to the initial address`;
  if (remoteId === 0 && connection.denyJoinId0) return "a subflow goes to remote id 0, to which the peer denies joins";
  if (endpoint !== 0 && !isEndpoint(connection, endpoint))
    return `a subflow belongs to endpoint ${endpoint}, and there is no such endpoint`;
  if (!isWithin(interfaceIndex, 0, 0x7fff_ffff))
    return `a subflow is bound to interface ${interfaceIndex}; an index is 0 to 2147483647`;
  return isWithin(answers, -1, 255)
    ? undefined
    : `a subflow answers announcement ${answers}; an id is 0 to 255, or -1 for none`;
}

function announcementsFault(connection: Connection, planned: readonly PlannedAnnouncement[]): string | undefined {
  for (let index = 0; index < planned.length; index++) {
    const { endpoint: id, localId, address, port } = planned[index] as PlannedAnnouncement;
    const endpoint = connection.endpoints.find((candidate) => candidate.id === id);
    if (!endpoint) return `it announces endpoint ${id}, and there is no such endpoint`;
    if (endpoint.address !== address || endpoint.port !== port)
      return `it announces ${address} as endpoint ${id}, which has another address or port`;
    if (!isWithin(localId, 1, 255)) return `it announces id ${localId}; an announced id is 1 to 255`;
    const twice =
      planned.findIndex((other) => other.localId === localId) < index ||
      connection.announced.some((other) => other.localId === localId && other.endpoint !== id);
    if (twice) return `it announces id ${localId} for two addresses`;
  }
  return undefined;
}

function isAnnouncement({ remotes }: Connection, id: AddressId): boolean {
  for (const remote of remotes) if (remote.id === id) return true;
  return false;
}

const notAnnounced = (id: AddressId): string => `it answers announcement ${id}, which the peer did not make`;

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
