import {
  type ConnectionPlan,
  type ConnectionView,
  familiesMatch,
  type LeftOut,
  type PlannedAnnouncement,
  type PlannedSubflow,
  type Policy,
  type RemoteAddressView,
  type SubflowView,
} from "../engine/index.ts";
import { type AddressId, ENDPOINT_FLAG, type Endpoint, type SocketAddress, sameAddress } from "../types/index.ts";
import { explain } from "./standard-explain.ts";

const { signal, subflow: subflowFlag, backup, fullmesh, laminar } = ENDPOINT_FLAG;

/**
 * What the in-kernel path manager does, decision for decision (net/mptcp/pm_kernel.c of Linux 6.18): the default.
 * Joins of the peer are judged first (mptcp_pm_allow_new_subflow), then received announcements are served
 * (mptcp_pm_nl_add_addr_received), then, where a pass is due, endpoints are announced and connected from
 * (mptcp_pm_create_subflow_or_signal_addr).
 */
export const standard: Policy = {
  name: "standard",
  foreseeable: true,
  plan(view: ConnectionView): ConnectionPlan {
    const draft = new Draft(view);
    for (const remote of view.remotes) if (remote.state === "new") serve(draft, remote);
    // The kernel's worker is done with a received announcement before it looks at endpoints (mptcp_pm_worker).
    if (view.passDue && draft.queries.length === 0) pass(draft);
    return draft;
  },
  explain(view: ConnectionView): readonly LeftOut[] {
    return explain(view);
  },
};

/** A plan in the making: the kernel's counters as they would be after each step of it. */
class Draft implements ConnectionPlan {
  readonly view: ConnectionView;
  readonly subflows: (SubflowView | PlannedSubflow)[] = [];
  readonly announcements: PlannedAnnouncement[] = [];
  readonly spent: AddressId[] = [];
  readonly served: { remote: RemoteAddressView; accepted: boolean }[] = [];
  readonly queries: RemoteAddressView[] = [];
  localAddressesUsed: number;
  settled: boolean;
  acceptsAddresses: boolean;
  acceptsSubflows: boolean;
  extraSubflows: number;
  addressesAccepted: number;

  constructor(view: ConnectionView) {
    this.view = view;
    this.localAddressesUsed = view.localAddressesUsed;
    this.settled = view.settled;
    this.acceptsAddresses = view.acceptsAddresses;
    this.acceptsSubflows = view.acceptsSubflows;
    this.extraSubflows = view.extraSubflows;
    this.addressesAccepted = view.addressesAccepted;
    for (const subflow of view.subflows) {
      if (subflow.state === "closing") continue;
      if (subflow.state === "arrived" && !this.#admits()) this.extraSubflows--;
      else this.subflows.push(subflow);
    }
  }

  isUsed(endpoint: AddressId): boolean {
    return this.view.isUsed(endpoint) || this.spent.includes(endpoint);
  }

  get isFull(): boolean {
    return this.extraSubflows >= this.view.limits.subflows;
  }

  /** Plans one subflow; `remote` is where to, `answers` the announcement it follows from. */
  connect(local: Endpoint, remote: SocketAddress, remoteId: AddressId, answers: AddressId): void {
    const { view } = this;
    this.extraSubflows++;
    this.subflows.push({
      state: "planned",
      endpoint: local.id,
      local: local.address,
      localId: local.id === 0 ? 0 : view.localId(local),
      interfaceIndex: local.interfaceIndex,
      remote,
      remoteId,
      backup: (local.flags & backup) !== 0,
      answers,
    });
  }

  /** mptcp_pm_allow_new_subflow; the newcomer is counted already. */
  #admits(): boolean {
    const { subflows } = this.view.limits;
    if (!this.acceptsSubflows || this.extraSubflows > subflows) return false;
    if (this.extraSubflows === subflows) this.acceptsSubflows = false;
    return true;
  }
}

/** mptcp_pm_add_addr_c_flag_case: the peer denies joins to its initial address and nothing was configured for that. */
function isCFlagCase(draft: Draft): boolean {
  const { view } = draft;
  return view.denyJoinId0 && draft.localAddressesUsed === 0 && view.limits.addAddrAccepted === 0 && !draft.isFull;
}

/** A received announcement: mptcp_pm_add_addr_received, then mptcp_pm_nl_add_addr_received. */
function serve(draft: Draft, remote: RemoteAddressView): void {
  const { view } = draft;
  const initial = view.initial.remote;
  const isInitial = sameAddress(remote.address, initial.address) && remote.port === initial.port;
  // RFC 8684 §3.1: the C flag holds for id 0 also when the peer announces it (the kernel would connect here).
  const refused = remote.id === 0 ? !isInitial || view.denyJoinId0 : !draft.acceptsAddresses && !isCFlagCase(draft);
  if (refused || hasSubflowTo(draft, remote)) {
    draft.served.push({ remote, accepted: false });
    return;
  }
  const before = draft.extraSubflows;
  if (!connectToAnnounced(draft, remote)) return;
  const accepted = draft.extraSubflows > before;
  draft.served.push({ remote, accepted });
  if (!accepted) return;
  if (remote.id !== 0) draft.addressesAccepted++;
  if (draft.addressesAccepted >= view.limits.addAddrAccepted || draft.isFull) draft.acceptsAddresses = false;
}

/** The kernel compares the port only when the ADD_ADDR had one; the event shows the initial one for none. */
function hasSubflowTo(draft: Draft, remote: RemoteAddressView): boolean {
  const anyPort = remote.port === draft.view.initial.remote.port;
  return draft.subflows.some((subflow) => {
    const to = subflow.state === "planned" ? subflow.remote : subflow.path.remote;
    return sameAddress(to.address, remote.address) && (anyPort || to.port === remote.port);
  });
}

/** fill_local_addresses_vec: from which addresses. False: routing must be asked first. */
function connectToAnnounced(draft: Draft, remote: RemoteAddressView): boolean {
  const { view } = draft;
  const to = { address: remote.address, port: remote.port };
  const matching = view.endpoints.filter((e) => familiesMatch(view.family, e.address, remote.address));
  const cFlagCase = remote.id !== 0 && isCFlagCase(draft);
  const before = draft.extraSubflows;
  for (const endpoint of matching) {
    if (!(endpoint.flags & fullmesh)) continue;
    if (cFlagCase && endpoint.flags & subflowFlag) spend(draft, endpoint);
    draft.connect(endpoint, to, remote.id, remote.id);
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
    (e) => e.flags & laminar && !draft.subflows.some((subflow) => subflow.localId === view.localId(e)),
  );
  if (!endpoint) return;
  if (endpoint.flags & subflowFlag) spend(draft, endpoint);
  draft.connect(endpoint, { address: remote.address, port: remote.port }, remote.id, remote.id);
}

/** fill_local_addresses_vec_c_flag: the subflow endpoints, which could not go to the initial address. */
function connectCFlag(draft: Draft, remote: RemoteAddressView): void {
  const { view } = draft;
  const max = view.countEndpoints(subflowFlag);
  while (draft.localAddressesUsed < max) {
    const endpoint = nextUnused(draft, subflowFlag);
    if (!endpoint) return;
    const usable = familiesMatch(view.family, endpoint.address, remote.address) && endpoint.id !== view.initialEndpoint;
    if (!usable) {
      draft.spent.push(endpoint.id);
      continue;
    }
    spend(draft, endpoint);
    draft.connect(endpoint, { address: remote.address, port: remote.port }, remote.id, remote.id);
    if (draft.isFull) return;
  }
}

/** fill_local_address_any: the source that routing picks, known once the query is answered. False: not yet. */
function connectRouted(draft: Draft, remote: RemoteAddressView): boolean {
  const { view } = draft;
  const { source } = remote;
  if (!familiesMatch(view.family, remote.address, remote.address)) return true;
  if (source === undefined) {
    draft.queries.push(remote);
    return false;
  }
  const endpoint = view.endpoints.find((e) => e.port === 0 && sameAddress(e.address, source));
  // The initial address keeps id 0, whatever endpoint it may be (mptcp_pm_get_local_id); no interface is bound.
  const isInitial = sameAddress(source, view.initial.local.address);
  const id = isInitial ? 0 : endpoint?.id;
  if (id !== undefined) {
    const local = { id, address: source, port: 0, flags: endpoint?.flags ?? 0, interfaceIndex: 0 };
    draft.connect(local, { address: remote.address, port: remote.port }, remote.id, remote.id);
  }
  return true;
}

/** One pass over the endpoints: at most one announcement, then every subflow there is room for. */
function pass(draft: Draft): void {
  const { view } = draft;
  const announcedToo = announceNext(draft);
  let candidate = announcedToo;
  const max = view.countEndpoints(subflowFlag);
  // No subflow to the initial address is allowed, so the endpoints are kept for the announcement to come.
  while (!isCFlagCase(draft) && draft.localAddressesUsed < max && !draft.isFull) {
    const endpoint = candidate ?? nextUnused(draft, subflowFlag);
    candidate = undefined;
    if (!endpoint) break;
    spend(draft, endpoint);
    if (endpoint.flags & fullmesh) connectToAll(draft, endpoint);
    else connectToInitial(draft, endpoint);
  }
  // Announced, and no room to connect from it: used up all the same.
  if (candidate) spend(draft, candidate);
  const left = view.endpoints.some((endpoint) => !draft.isUsed(endpoint.id));
  if (draft.extraSubflows === view.limits.subflows || !left) draft.settled = true;
}

/** Plans the next announcement; returns its endpoint when it is one to connect from as well. */
function announceNext(draft: Draft): Endpoint | undefined {
  const { view } = draft;
  if (view.addressesAnnounced >= view.countEndpoints(signal)) return undefined;
  const endpoint = nextUnused(draft, signal);
  if (!endpoint) return undefined;
  draft.spent.push(endpoint.id);
  const localId = view.localId(endpoint);
  // The userspace interface has no ANNOUNCE for id 0 ("invalid addr id"): the initial address is known to the peer anyway.
  if (localId !== 0) {
    const { id, address, port, flags } = endpoint;
    draft.announcements.push({ endpoint: id, localId, address, port, backup: (flags & backup) !== 0 });
  }
  return endpoint.flags & subflowFlag ? endpoint : undefined;
}

/** select_local_address, select_signal_address: the first in list order that has the flag and was not used. */
function nextUnused(draft: Draft, flag: number): Endpoint | undefined {
  return draft.view.endpoints.find((endpoint) => endpoint.flags & flag && !draft.isUsed(endpoint.id));
}

/** A subflow endpoint is used up; the initial address's does not count. */
function spend(draft: Draft, endpoint: Endpoint): void {
  draft.spent.push(endpoint.id);
  if (endpoint.id !== draft.view.initialEndpoint) draft.localAddressesUsed++;
}

/** fill_remote_addr: the peer's initial address, unless it denies that or the families differ. */
function connectToInitial(draft: Draft, endpoint: Endpoint): void {
  const { view } = draft;
  const { remote } = view.initial;
  if (view.denyJoinId0 || !familiesMatch(view.family, endpoint.address, remote.address)) return;
  draft.connect(endpoint, remote, 0, -1);
}

/** fill_remote_addresses_fullmesh: every remote address that some subflow goes to and none from here, each id once. */
function connectToAll(draft: Draft, endpoint: Endpoint): void {
  const { view } = draft;
  const localId = view.localId(endpoint);
  const existing = [...draft.subflows];
  const reached = existing.filter((subflow) => subflow.localId === localId).map((subflow) => subflow.remoteId);
  for (const subflow of existing) {
    const remote = subflow.state === "planned" ? subflow.remote : subflow.path.remote;
    const { remoteId } = subflow;
    if (view.denyJoinId0 && remoteId === 0) continue;
    if (reached.includes(remoteId) || !familiesMatch(view.family, endpoint.address, remote.address)) continue;
    reached.push(remoteId);
    draft.connect(endpoint, remote, remoteId, -1);
    if (draft.isFull) return;
  }
}
