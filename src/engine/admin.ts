import { type Address, ENDPOINT_FLAG, type Endpoint, type Limits, type Millis, sameAddress } from "../types/index.ts";
import { isLeftToPeer, leave } from "./away.ts";
import { setBackup } from "./backup.ts";
import { BOUNDS } from "./bounds.ts";
import { destroy, remove, settleHeld } from "./closing.ts";
import type { Command, EndpointRequest } from "./commands.ts";
import type { ConfigChanged } from "./events.ts";
import type { Connection } from "./model.ts";
import { arm, consider, subflowsFrom } from "./plan.ts";
import { forgetFailures } from "./retry.ts";
import type { Opening, State } from "./state.ts";
import type { Refusal } from "./table.ts";
import { setPolicy, unsetPolicy } from "./treat.ts";
import { unannounce, unlist, withdraw } from "./withdraw.ts";

const { signal, subflow, backup, fullmesh, implicit, laminar } = ENDPOINT_FLAG;

/** The `request` of answers that concern the configuration, not somebody at the control socket. */
export const CONFIG_REQUEST = -1;

/** Carries out a command on the table and on every connection, and answers it. */
export function command(state: State, request: number, wanted: Command): void {
  switch (wanted.type) {
    case "endpoint.add":
      add(state, { request, command: wanted, configured: false });
      return;
    case "endpoint.delete":
      answer(state, request, wanted.id === 0 ? deleteInitial(state, wanted.address) : remove1(state, wanted));
      return;
    case "endpoint.change":
      answer(state, request, change(state, wanted));
      return;
    case "endpoint.flush":
      answer(state, request, flush(state));
      return;
    case "limits.set":
      answer(state, request, setLimits(state, wanted));
      return;
    case "policy.set":
      answer(state, request, setPolicy(state, wanted));
      return;
    case "policy.unset":
      answer(state, request, unsetPolicy(state, wanted));
      return;
  }
}

function setLimits(state: State, wanted: Partial<Limits>): Refusal | undefined {
  const refused = state.table.setLimits(wanted);
  if (refused) return refused;
  for (const connection of state.connections.values()) consider(state, connection, { type: "limits" });
  return undefined;
}

function answer(state: State, request: number, refused: Refusal | undefined): void {
  if (request === CONFIG_REQUEST && !refused) return;
  state.act({ type: "command.answer", request, errno: refused?.errno ?? 0, message: refused?.message ?? "" });
}

/** mptcp_pm_nl_add_addr_doit: flags, then the listener of a port endpoint, then the table. */
function add(state: State, opening: Opening): void {
  const { request, command: wanted } = opening;
  const refused = state.table.check(wanted);
  if (refused) {
    answer(state, request, refused);
    return;
  }
  if (!wanted.port) {
    insert(state, opening);
    return;
  }
  if (state.openings.size >= BOUNDS.openingsMax) {
    state.counters.bounded++;
    answer(state, request, { errno: 16, message: "too many listeners being opened" });
    return;
  }
  const local = { address: wanted.address, port: wanted.port };
  state.openings.set(state.act({ type: "listener.open", local }), opening);
}

/** The listener of a port endpoint is open, or (errno) is not. */
export function listenerOpened(state: State, actionId: number, errno: number): void {
  const opening = state.openings.get(actionId);
  if (!opening) return;
  state.openings.delete(actionId);
  if (errno === 0) {
    insert(state, opening);
    return;
  }
  answer(state, opening.request, { errno, message: `create listen socket error: -${errno}` });
}

function insert(state: State, { request, command: wanted, configured }: Opening): void {
  const added = state.table.add(wanted);
  if ("refused" in added) {
    if (wanted.port) {
      state.act({ type: "listener.close", local: { address: wanted.address, port: wanted.port } });
    }
    answer(state, request, added.refused);
    return;
  }
  if (configured) state.configured.add(added.ok.id);
  answer(state, request, undefined);
  for (const connection of state.connections.values()) {
    if (!connection.established || !connection.owned) continue;
    forgetFailures(connection, added.ok.address);
    consider(state, connection, { type: "endpoint.added", endpoint: added.ok });
    settleHeld(state, connection);
  }
}

function remove1(state: State, { id, isLoss }: Extract<Command, { type: "endpoint.delete" }>): Refusal | undefined {
  const isAwaited = isLoss === true && state.treatment.triesAgain;
  const deleted = isAwaited ? leave(state, id) : state.table.delete(id);
  if ("refused" in deleted) return deleted.refused;
  state.configured.delete(id);
  closeListener(state, deleted.ok);
  for (const connection of inNeedFirst(state, deleted.ok)) {
    const isLeft = isAwaited && connection.treatment.triesAgain && isLeftToPeer(connection, deleted.ok);
    if (connection.owned && !isLeft) withdraw(state, connection, deleted.ok);
  }
  return undefined;
}

/**
 * Of thousands of connections some wait long for their commands: first those whose data went by the endpoint of late, then those whose data would, and
 * last those for which it was a reserve.
 */
function inNeedFirst(state: State, endpoint: Endpoint): Iterable<Connection> {
  const [using, active, others]: [Connection[], Connection[], Connection[]] = [[], [], []];
  for (const connection of state.connections.values()) {
    let group = others;
    for (const { state: standing, path, backup: isBackup, measured } of connection.subflows) {
      if (standing !== "established" || isBackup || !sameAddress(path.local.address, endpoint.address)) continue;
      group = measured && state.now - measured.usedAt < USED_OF_LATE ? using : active;
      if (group === using) break;
    }
    group.push(connection);
  }
  return [...using, ...active, ...others];
}

/** Each connection is looked at once in so long (daemon/watch.ts). */
const USED_OF_LATE: Millis = 20_000;

function closeListener(state: State, { address, port }: Endpoint): void {
  if (port) state.act({ type: "listener.close", local: { address, port } });
}

/** mptcp_nl_remove_id_zero_address: never refused. */
function deleteInitial(state: State, address: Address | undefined): undefined {
  if (!address) return;
  for (const connection of state.connections.values()) {
    if (!connection.owned || !connection.isInitial({ address, port: 0 })) continue;
    const ended = connection.subflows.filter((s) => s.state !== "closing" && s.localId === 0);
    remove(state, connection, { localId: 0, address }, ended);
    const endpoint = connection.endpoints.find((candidate) => connection.isInitial(candidate));
    if (endpoint) connection.unlist(endpoint.id);
    arm(state, connection);
    consider(state, connection, { type: "initial.deleted" });
  }
}

/** mptcp_pm_flush_addrs_and_subflows: RM_ADDR for what is announced, no subflow left of any endpoint, all forgotten. */
function flush(state: State): undefined {
  const endpoints = state.table.flush();
  state.configured.clear();
  for (const endpoint of endpoints) closeListener(state, endpoint);
  if (endpoints.length === 0) return;
  for (const connection of state.connections.values()) {
    if (!connection.owned) continue;
    const ended = (endpoint: Endpoint) => {
      const localId = connection.localId(endpoint);
      const any = subflowsFrom(connection, endpoint).length > 0;
      return any ? connection.subflows.filter((s) => s.state !== "closing" && s.localId === localId) : [];
    };
    const announced = endpoints.filter((endpoint) => unannounce(connection, endpoint));
    for (const endpoint of announced) {
      const { address } = endpoint;
      remove(state, connection, { localId: connection.localId(endpoint), address }, ended(endpoint));
    }
    const others = endpoints.filter((endpoint) => !announced.includes(endpoint));
    for (const endpoint of others) unlist(state, connection, endpoint);
    for (const endpoint of others) destroy(state, connection, ended(endpoint));
    connection.listed = [];
    connection.otherIds = [];
    arm(state, connection);
    consider(state, connection, { type: "endpoints.flushed" });
  }
}

/** mptcp_pm_nl_set_flags_all: MP_PRIO on the first subflow from there; with fullmesh, its subflows are made anew. */
function change(state: State, wanted: Extract<Command, { type: "endpoint.change" }>): Refusal | undefined {
  const outcome = state.table.change(wanted);
  if ("refused" in outcome) return outcome.refused;
  const { endpoint, changed } = outcome.ok;
  if (changed === 0) return undefined;
  for (const connection of state.connections.values()) {
    if (!connection.owned) continue;
    if (changed & backup) {
      const [first] = subflowsFrom(connection, endpoint);
      if (first) setBackup(state, connection, first, (endpoint.flags & backup) !== 0);
    }
    const isMadeAnew = (changed & fullmesh) !== 0 && (endpoint.flags & subflow) !== 0;
    if (isMadeAnew) {
      const localId = connection.localId(endpoint);
      const ended = connection.subflows.filter((s) => s.state !== "closing" && s.localId === localId);
      destroy(state, connection, ended);
      connection.unlist(endpoint.id);
    }
    consider(state, connection, { type: "endpoint.changed", endpoint, changed });
    if (isMadeAnew) settleHeld(state, connection);
  }
  return undefined;
}

/** Brings the table to what the configuration wants. Endpoints added by command stay; equal ones keep id and connections. */
export function configure(state: State, event: ConfigChanged): void {
  if (event.limits) answer(state, CONFIG_REQUEST, setLimits(state, event.limits));
  if (!event.endpoints) return;
  const wanted = event.endpoints.slice(0, BOUNDS.configEndpointsMax);
  state.counters.bounded += event.endpoints.length - wanted.length;
  for (const id of [...state.configured]) {
    const endpoint = state.table.byId(id);
    if (!endpoint || !wanted.some((request) => isSameEndpoint(request, endpoint)))
      remove1(state, { type: "endpoint.delete", id });
  }
  for (const request of wanted) {
    const endpoint = state.table.list.find((candidate) => isSameEndpoint(request, candidate));
    if (!endpoint) {
      add(state, { request: CONFIG_REQUEST, command: { type: "endpoint.add", ...request }, configured: true });
      continue;
    }
    state.configured.add(endpoint.id);
    if ((endpoint.flags ^ request.flags) & (backup | fullmesh)) {
      const { id } = endpoint;
      answer(state, CONFIG_REQUEST, change(state, { type: "endpoint.change", id, flags: request.flags }));
    }
  }
}

/** Differs at most in what `endpoint change` can change. */
function isSameEndpoint(request: EndpointRequest, endpoint: Endpoint): boolean {
  const fixed = signal | subflow | laminar | implicit;
  return (
    sameAddress(request.address, endpoint.address) &&
    (request.port ?? 0) === endpoint.port &&
    (request.id || endpoint.id) === endpoint.id &&
    (request.interfaceIndex ?? 0) === endpoint.interfaceIndex &&
    ((request.flags ^ endpoint.flags) & fixed) === 0
  );
}
