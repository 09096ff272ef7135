import { ENDPOINT_FLAG, type Endpoint } from "../../types/index.ts";
import { type Draft, isCFlagCase, nextUnused } from "./draft.ts";

const { subflow: subflowFlag, fullmesh } = ENDPOINT_FLAG;

/** One pass over the endpoints: at most one announcement, then every subflow there is room for. */
export function pass(draft: Draft): void {
  const { view, registers } = draft;
  const announcedToo = announceNext(draft);
  let candidate = announcedToo;
  const max = view.countEndpoints(subflowFlag);
  // No subflow to the initial address is allowed, so the endpoints are kept for the announcement to come.
  while (!isCFlagCase(draft) && registers.localAddressesUsed < max && !draft.isFull) {
    const endpoint = candidate ?? nextUnused(draft, subflowFlag);
    candidate = undefined;
    if (!endpoint) break;
    registers.consume(endpoint);
    if (endpoint.flags & fullmesh) connectToAll(draft, endpoint);
    else draft.connect(endpoint, view.initialRemote);
  }
  // Announced, and no room to connect from it: used up all the same.
  if (candidate) registers.consume(candidate);
  if (draft.extraSubflows === view.limits.subflows || registers.haveUsed(view.endpoints)) registers.settled = true;
}

/** Plans the next announcement; returns its endpoint when it is one to connect from as well. */
function announceNext(draft: Draft): Endpoint | undefined {
  const { view, registers } = draft;
  if (view.addressesAnnounced >= view.countEndpoints(ENDPOINT_FLAG.signal)) return undefined;
  const endpoint = nextUnused(draft, ENDPOINT_FLAG.signal);
  if (!endpoint) return undefined;
  registers.spend(endpoint.id);
  draft.announcements = [endpoint];
  return endpoint.flags & subflowFlag ? endpoint : undefined;
}

/** fill_remote_addresses_fullmesh: every remote address that some subflow goes to and none from here, each id once. */
function connectToAll(draft: Draft, endpoint: Endpoint): void {
  const { view } = draft;
  const localId = view.localId(endpoint);
  const existing = draft.wanted.map((wanted) => ({ from: draft.localIdOf(wanted), remote: draft.remoteOf(wanted) }));
  const reached = existing.filter(({ from }) => from === localId).map(({ remote }) => remote.id);
  for (const { remote } of existing) {
    if (reached.includes(remote.id) || !draft.connect(endpoint, remote)) continue;
    reached.push(remote.id);
    if (draft.isFull) return;
  }
}
