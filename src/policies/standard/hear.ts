import type { ConnectionView, Occasion, SubflowView } from "../../engine/index.ts";
import { ENDPOINT_FLAG, ERRNO, sameAddress } from "../../types/index.ts";
import type { Draft } from "./draft.ts";
import type { Registers } from "./memory.ts";

const { subflow: subflowFlag, backup, fullmesh } = ENDPOINT_FLAG;

/** What has happened, into the registers. True: the kernel would go through its endpoints now. */
export function hear({ view, registers }: Draft, occasion: Occasion): boolean {
  switch (occasion.type) {
    case "established":
    case "opened":
    case "wake":
      return !registers.settled;
    case "policy":
      return true;
    case "closed":
      return hearClosed(view, registers, occasion.subflow);
    case "failed":
      hearFailed(view, registers, occasion);
      return false;
    case "removed":
      if (occasion.remoteId !== 0 && occasion.answered) giveBackAnnouncement(view, registers);
      return false;
    case "routed": {
      const isOwed = registers.passOwed;
      registers.passOwed = false;
      return isOwed;
    }
    case "kept":
      registers.use(occasion.endpoint);
      return false;
    case "endpoint.added":
      if (view.isInitial(occasion.endpoint)) registers.initialEndpoint = occasion.endpoint.id;
      return true;
    case "endpoint.deleted":
      registers.release(occasion.endpoint);
      if (registers.initialEndpoint === occasion.endpoint.id) registers.initialEndpoint = 0;
      return false;
    case "endpoint.changed":
      if (!(occasion.changed & fullmesh && occasion.endpoint.flags & subflowFlag)) return false;
      registers.release(occasion.endpoint);
      return true;
    case "endpoints.flushed":
      registers.flush();
      return false;
    case "initial.deleted":
      registers.forget(registers.initialEndpoint);
      return false;
    default:
      return false;
  }
}

/** mptcp_pm_subflow_check_next: its slot is free. */
function hearClosed(view: ConnectionView, registers: Registers, { join }: SubflowView): boolean {
  if (!join && registers.settled) return false;
  if (join && view.extraSubflows < view.limits.subflows) registers.acceptsSubflows = true;
  // mptcp_pm_nl_check_work_pending
  const isWorkLeft = view.extraSubflows !== view.limits.subflows && !registers.haveUsed(view.endpoints);
  if (!isWorkLeft) registers.settled = true;
  return isWorkLeft;
}

function hearFailed(
  view: ConnectionView,
  registers: Registers,
  { subflow, errno }: Extract<Occasion, { type: "failed" }>,
): void {
  const { remoteId } = subflow;
  // An announcement none of whose subflows could be started does not count as accepted (`sf_created`).
  const isServed = view.subflows.some((other) => other.join && other.initiated && other.remoteId === remoteId);
  if (remoteId > 0 && !isServed) giveBackAnnouncement(view, registers);
  if (errno !== ERRNO.ENOTCONN) {
    if (view.extraSubflows < view.limits.subflows) registers.acceptsSubflows = true;
    return;
  }
  // Too early: as if never tried, until the next occasion or the establishment that may still come.
  const endpoint = view.endpoints.find(({ address }) => sameAddress(address, subflow.path.local.address));
  if (endpoint) registers.release(endpoint);
  registers.settled = false;
}

/** mptcp_pm_nl_rm_addr: it may be accepted anew. */
function giveBackAnnouncement({ limits }: ConnectionView, registers: Registers): void {
  if (registers.addressesAccepted === 0) return;
  registers.addressesAccepted--;
  if (registers.addressesAccepted < limits.addAddrAccepted) registers.acceptsAddresses = true;
}

/** mptcp_mpc_endpoint_setup: once per connection, lazily: is the initial address an endpoint, and a backup one? */
export function accountInitialAddress({ view, registers, wanted }: Draft): void {
  if (registers.accounted) return;
  registers.accounted = true;
  const endpoint = view.endpoints.find((candidate) => view.isInitial(candidate));
  if (!endpoint) return;
  registers.spend(endpoint.id);
  registers.initialEndpoint = endpoint.id;
  const initial = wanted.findIndex(({ keep }) => keep?.join === false);
  const kept = wanted[initial];
  if (kept?.keep && endpoint.flags & backup) wanted[initial] = { ...kept, backup: true };
}
