import { familiesMatch, type RemoteAddressView } from "../../engine/index.ts";
import { ENDPOINT_FLAG, type Endpoint, sameAddress } from "../../types/index.ts";
import { type Draft, isCFlagCase, nextUnused } from "./draft.ts";

const { subflow: subflowFlag, backup, fullmesh, laminar } = ENDPOINT_FLAG;

/** Announcements from before the establishment; what the kernel was asked about has its answer to come. */
export function serveNew(draft: Draft, remote: RemoteAddressView): void {
  if (remote.state === "known") serve(draft, remote);
}

/** A received announcement: mptcp_pm_add_addr_received, then mptcp_pm_nl_add_addr_received. */
export function serve(draft: Draft, remote: RemoteAddressView): void {
  const { view, registers } = draft;
  const initial = view.initial.remote;
  const isInitial = sameAddress(remote.address, initial.address) && remote.port === initial.port;
  // RFC 8684 §3.1: the C flag holds for id 0 also when the peer announces it (the kernel would connect here).
  const refused = remote.id === 0 ? !isInitial || view.denyJoinId0 : !registers.acceptsAddresses && !isCFlagCase(draft);
  if (refused || hasSubflowTo(draft, remote)) return;
  const before = draft.extraSubflows;
  if (!connectToAnnounced(draft, remote)) return;
  if (draft.extraSubflows === before) return;
  if (remote.id !== 0) registers.addressesAccepted++;
  if (registers.addressesAccepted >= view.limits.addAddrAccepted || draft.isFull) registers.acceptsAddresses = false;
}

/** The kernel compares the port only when the ADD_ADDR had one; the event shows the initial one for none. */
function hasSubflowTo(draft: Draft, remote: RemoteAddressView): boolean {
  const anyPort = remote.port === draft.view.initial.remote.port;
  return draft.wanted.some((wanted) => {
    const to = draft.remoteOf(wanted);
    return sameAddress(to.address, remote.address) && (anyPort || to.port === remote.port);
  });
}

/** fill_local_addresses_vec: from which addresses. False: routing must be asked first. */
function connectToAnnounced(draft: Draft, remote: RemoteAddressView): boolean {
  const { view } = draft;
  const matching = view.endpoints.filter((e) => familiesMatch(view.family, e.address, remote.address));
  const cFlagCase = remote.id !== 0 && isCFlagCase(draft);
  const before = draft.extraSubflows;
  for (const endpoint of matching) {
    if (!(endpoint.flags & fullmesh)) continue;
    if (cFlagCase && endpoint.flags & subflowFlag) draft.registers.consume(endpoint);
    draft.connect(endpoint, remote);
    if (draft.isFull) break;
  }
  if (draft.extraSubflows > before) return true;
  if (view.countEndpoints(laminar) > 0) {
    connectLaminar(draft, remote, matching);
    return true;
  }
  if (cFlagCase) {
    connectCFlag(draft, remote);
    return true;
  }
  return connectRouted(draft, remote);
}

/** fill_local_laminar_endp: the first laminar endpoint that no subflow uses. */
function connectLaminar(draft: Draft, remote: RemoteAddressView, matching: readonly Endpoint[]): void {
  const { view } = draft;
  const endpoint = matching.find(
    (e) => e.flags & laminar && !draft.wanted.some((wanted) => draft.localIdOf(wanted) === view.localId(e)),
  );
  if (!endpoint) return;
  if (endpoint.flags & subflowFlag) draft.registers.consume(endpoint);
  draft.connect(endpoint, remote);
}

/** fill_local_addresses_vec_c_flag: the subflow endpoints, which could not go to the initial address. */
function connectCFlag(draft: Draft, remote: RemoteAddressView): void {
  const { view, registers } = draft;
  const max = view.countEndpoints(subflowFlag);
  while (registers.localAddressesUsed < max) {
    const endpoint = nextUnused(draft, subflowFlag);
    if (!endpoint) return;
    const isUsable = endpoint.id !== registers.initialEndpoint && draft.connect(endpoint, remote);
    if (isUsable) registers.consume(endpoint);
    else registers.spend(endpoint.id);
    if (draft.isFull) return;
  }
}

/** fill_local_address_any: the source that routing picks, known once the query is answered. False: not yet. */
function connectRouted(draft: Draft, remote: RemoteAddressView): boolean {
  const { view } = draft;
  const { source } = remote;
  if (!familiesMatch(view.family, remote.address, remote.address)) return true;
  if (source === undefined) {
    draft.ask = [...draft.ask, remote];
    return false;
  }
  const endpoint = view.endpoints.find((e) => e.port === 0 && sameAddress(e.address, source));
  // The initial address keeps id 0, whatever endpoint it may be (mptcp_pm_get_local_id).
  const isInitial = sameAddress(source, view.initial.local.address);
  if (!isInitial && !endpoint) return true;
  const from = { address: source, endpoint: isInitial ? 0 : (endpoint?.id ?? 0), backup: isBackup(endpoint) };
  // No interface is bound: routing has chosen.
  draft.open({ local: { ...from, interfaceIndex: 0 }, remote });
  return true;
}

const isBackup = (endpoint: Endpoint | undefined): boolean => ((endpoint?.flags ?? 0) & backup) !== 0;
