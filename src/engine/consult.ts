import { type Address, type Endpoint, sameAddress } from "../types/index.ts";
import { BOUNDS } from "./bounds.ts";
import type { PolicyPlanned } from "./events.ts";
import type { Connection } from "./model.ts";
import type { ConnectionPlan, LocalPoint, Occasion, OpenPair, RemotePoint, SubflowView, Wanted } from "./policy.ts";
import { consultRemote, isElsewhere, planOf } from "./remote/remote.ts";
import type { State } from "./state.ts";

/**
 * Asks the policy what should be. undefined: it threw or planned nonsense. Nothing of such a plan is carried out, so that what the
 * last good one led to stays; the next occasion asks again.
 */
export function consult(state: State, connection: Connection, occasion: Occasion): ConnectionPlan | undefined {
  if (isElsewhere(state, connection)) return consultRemote(state, connection, occasion);
  let reason: string | undefined;
  try {
    const { policy, values } = connection.treatment;
    const plan = policy.plan(connection, connection.memory, occasion, values);
    reason = faultOf(state, connection, plan);
    if (reason === undefined) {
      if (connection.refusal) connection.refusal.standing = false;
      if (plan.memory !== undefined) connection.memory = plan.memory;
      return plan;
    }
  } catch (error) {
    reason = messageOf(error);
  }
  refuse(state, connection, reason);
  return undefined;
}

/** A policy in another process has answered. @returns what it wants, where that is the answer to the last question */
export function heardRemote(
  state: State,
  connection: Connection,
  { version, plan, fault }: PolicyPlanned,
): ConnectionPlan | undefined {
  const { remote: standing } = connection;
  if (!standing || version !== standing.version || !isElsewhere(state, connection)) return undefined;
  if (!plan) {
    refuse(state, connection, fault);
    return undefined;
  }
  if (plan.subflows.some(({ keep }) => keep !== undefined && !standing.asked[keep])) {
    refuse(state, connection, "it keeps a subflow that does not exist");
    return undefined;
  }
  const before = { plan: standing.plan, seen: standing.seen };
  standing.plan = plan;
  standing.seen = standing.asked;
  const wanted = planOf(state, connection, { type: "asked" });
  const wrong = wanted ? faultOf(state, connection, wanted) : undefined;
  if (wrong !== undefined) {
    Object.assign(standing, before);
    refuse(state, connection, wrong);
    return undefined;
  }
  if (plan.memory !== undefined) standing.memory = plan.memory;
  if (connection.refusal) connection.refusal.standing = false;
  return wanted;
}

/** The policy begins with this connection, or begins anew. */
export function beginMemory(state: State, connection: Connection): void {
  connection.memory = undefined;
  connection.remote = undefined;
  try {
    connection.memory = connection.treatment.policy.begin?.(connection);
  } catch (error) {
    refuse(state, connection, messageOf(error));
  }
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
  const policy = connection.treatment.policy.name;
  const reported = connection.refusal?.policy === policy;
  connection.refusal = { policy, reason, standing: true };
  if (!reported) state.act({ type: "policy.report", token: connection.token, policy, reason });
}

/** What is wrong with a plan; undefined: nothing. Every plan passes here: no closure, no list of its own. */
function faultOf(state: State, connection: Connection, plan: ConnectionPlan): string | undefined {
  const { subflows, announcements, ask } = plan;
  const fault =
    listFault("subflows", subflows, BOUNDS.subflowsMax) ??
    (announcements && announcementsFault(connection, announcements)) ??
    (ask && askFault(connection, ask)) ??
    wakeFault(state, plan.wakeAt);
  if (fault !== undefined) return fault;
  for (const wanted of subflows) {
    const wrong = wantedFault(connection, wanted);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function listFault(name: string, list: unknown, max: number): string | undefined {
  if (!Array.isArray(list)) return `${name} is not a list`;
  return list.length > max ? `the list ${name} has ${list.length} entries; at most ${max} are possible` : undefined;
}

function wakeFault({ now }: State, wakeAt: ConnectionPlan["wakeAt"]): string | undefined {
  if (wakeAt === undefined || wakeAt === "announceable") return undefined;
  if (typeof wakeAt !== "number" || Number.isNaN(wakeAt)) return `wakeAt is ${String(wakeAt)}, which is no time`;
  return wakeAt > now ? undefined : `it wants to be asked again ${Math.round(now - wakeAt)} ms ago`;
}

function wantedFault(connection: Connection, { keep, open, backup }: Wanted): string | undefined {
  if (backup !== undefined && typeof backup !== "boolean") return "backup is neither true nor false";
  if (keep && open) return "one of its subflows is to be kept and opened at once";
  if (keep) return strangerFault(connection, keep);
  return open ? openFault(connection, open) : "one of its subflows is neither to be kept nor to be opened";
}

/** Only what the engine itself has shown can be kept. */
function strangerFault(connection: Connection, subflow: SubflowView): string | undefined {
  for (const known of connection.subflows) if (known === subflow) return undefined;
  return "it keeps a subflow that does not exist";
}

function openFault(connection: Connection, { local, remote }: OpenPair): string | undefined {
  return localFault(connection, local) ?? remoteFault(connection, remote);
}

function localFault(connection: Connection, { address, endpoint, interfaceIndex }: LocalPoint): string | undefined {
  if (!isLocal(connection, address))
    return `a subflow comes from ${address}, which is neither an endpoint nor the answer of a route query`;
  if (endpoint !== 0 && !isEndpoint(connection, endpoint))
    return `a subflow belongs to endpoint ${endpoint}, and there is no such endpoint`;
  if (isWithin(interfaceIndex, 0, 0x7fff_ffff)) return undefined;
  return `a subflow is bound to interface ${interfaceIndex}; an index is 0 to 2147483647`;
}

function remoteFault(connection: Connection, { id, address, port }: RemotePoint): string | undefined {
  if (!isWithin(id, 0, 255)) return `a subflow goes to remote id ${id}; an id is 0 to 255`;
  if (!isRemote(connection, address))
    return `a subflow goes to ${address}, and the peer is not known to have that address`;
  if (!isWithin(port, 1, 65_535)) return `a subflow goes to port ${port}; a port is 1 to 65535`;
  // The kernel does not check it.
  return id === 0 && connection.denyJoinId0
    ? "a subflow goes to remote id 0, to which the peer denies joins"
    : undefined;
}

function announcementsFault(connection: Connection, planned: readonly Endpoint[]): string | undefined {
  const fault = listFault("announcements", planned, BOUNDS.plannedMax);
  if (fault !== undefined) return fault;
  for (const endpoint of planned) {
    const known = connection.endpoints.find((candidate) => candidate.id === endpoint.id);
    if (!known) return `it announces endpoint ${endpoint.id}, and there is no such endpoint`;
    if (endpoint.address !== known.address || endpoint.port !== known.port)
      return `it announces ${endpoint.address} as endpoint ${endpoint.id}, which has another address or port`;
  }
  return undefined;
}

function askFault({ remotes }: Connection, ask: readonly { readonly id: number }[]): string | undefined {
  const fault = listFault("ask", ask, BOUNDS.plannedMax);
  if (fault !== undefined) return fault;
  for (const { id } of ask)
    if (!remotes.some((remote) => remote.id === id))
      return `it asks about announcement ${id}, which the peer did not make`;
  return undefined;
}

function isEndpoint({ endpoints }: Connection, id: number): boolean {
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

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
