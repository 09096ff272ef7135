import { ENDPOINT_FLAG, type Endpoint, sameAddress } from "../types/index.ts";
import { destroy, remove } from "./closing.ts";
import type { Connection } from "./model.ts";
import { arm, consider, subflowsFrom } from "./plan.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";

const { implicit } = ENDPOINT_FLAG;

/** mptcp_nl_remove_subflow_and_signal_addr: RM_ADDR if the peer knows the address, its subflows closed, the endpoint free again. */
export function withdraw(state: State, connection: Connection, endpoint: Endpoint): void {
  const localId = connection.localId(endpoint);
  const announced = unannounce(connection, endpoint);
  const from = subflowsFrom(connection, endpoint);
  // Joins to the initial address have id 0, also where it was announced again under another.
  const isOfIt = (s: Subflow): boolean => s.localId === localId || (s.localId === 0 && connection.isInitial(endpoint));
  const ended = from.length > 0 ? connection.subflows.filter((s) => s.state !== "closing" && isOfIt(s)) : [];
  const tellPeer = announced || (from.length > 0 && !(endpoint.flags & implicit));
  if (tellPeer) remove(state, connection, { localId, address: endpoint.address }, ended);
  else if (ended.length > 0) destroy(state, connection, ended);
  else unlist(state, connection, endpoint);
  connection.unlist(endpoint.id);
  connection.otherIds = connection.otherIds.filter(([id]) => id !== endpoint.id);
  arm(state, connection);
  consider(state, connection, { type: "endpoint.deleted", endpoint });
}

/**
 * The kernel's own list may still have the address, under this id, although no subflow is left of it. REMOVE takes it out, as
 * a rule without a word to the peer (mptcp_userspace_pm_remove_addr_entry), so that the address can come back under another id.
 */
export function unlist(state: State, connection: Connection, endpoint: Endpoint): void {
  const localId = connection.localId(endpoint);
  if (localId === 0 || !connection.isListed(endpoint.id)) return;
  if (connection.subflows.some((s) => sameAddress(s.path.local.address, endpoint.address))) return;
  remove(state, connection, { localId, address: endpoint.address }, []);
}

/** Takes the endpoint out of what is announced; false: it was not. */
export function unannounce(connection: Connection, endpoint: Endpoint): boolean {
  if (!connection.isAnnounced(endpoint.id)) return false;
  connection.announced = connection.announced.filter((announced) => announced.endpoint !== endpoint.id);
  return true;
}
