import { type ConnectionView, familiesMatch, type LeftOut, type RemoteAddressView } from "../../engine/index.ts";
import { ENDPOINT_FLAG, type Endpoint, errnoText, sameAddress } from "../../types/index.ts";
import type { Memory } from "./memory.ts";

const { signal, subflow, fullmesh, laminar } = ENDPOINT_FLAG;

type Reason = { readonly reason: string; readonly remedy: string };

/** For each endpoint and remote address of the view, why it is not announced, or no subflow comes from it or goes to it. */
export function explain(view: ConnectionView, memory: Memory): readonly LeftOut[] {
  const leftOut: LeftOut[] = [];
  for (const endpoint of view.endpoints) {
    const { id, address, flags } = endpoint;
    if (flags & signal && !view.isAnnounced(id)) {
      leftOut.push({ what: "announcement", id, address, ...whyNotAnnounced(view, memory, endpoint) });
    }
    if (flags & subflow && !hasSubflowFrom(view, endpoint)) {
      leftOut.push({ what: "subflow", id, address, ...whyNotConnected(view, memory, endpoint) });
    }
  }
  for (const remote of view.remotes) {
    // Why, says who refused it.
    if (remote.state === "refused") continue;
    if (view.subflows.some((s) => s.state !== "closing" && sameAddress(s.path.remote.address, remote.address)))
      continue;
    leftOut.push({ what: "remote", id: remote.id, address: remote.address, ...whyNotAnswered(view, memory, remote) });
  }
  return leftOut;
}

function hasSubflowFrom(view: ConnectionView, endpoint: Endpoint): boolean {
  return view.subflows.some((s) => s.state !== "closing" && sameAddress(s.path.local.address, endpoint.address));
}

function whyNotAnnounced(view: ConnectionView, memory: Memory, endpoint: Endpoint): Reason {
  if (sameAddress(endpoint.address, view.initial.local.address)) {
    return { reason: "the connection began with this address: the peer knows it", remedy: "nothing needs to be done" };
  }
  if (memory.used.includes(endpoint.id)) {
    return { reason: "already used once in this connection", remedy: "delete the endpoint and add it again" };
  }
  if (!memory.settled) {
    return { reason: "waiting its turn: one announcement at a time", remedy: "wait" };
  }
  return {
    reason: "nothing was left to do when the endpoints were last looked at",
    remedy: "add the endpoint again; new connections announce it",
  };
}

function whyNotConnected(view: ConnectionView, memory: Memory, endpoint: Endpoint): Reason {
  const remote = view.initial.remote.address;
  const attempt = view.attempts.findLast((a) => sameAddress(a.local, endpoint.address));
  const again = "delete the endpoint and add it again";
  if (!familiesMatch(view.family, endpoint.address, remote)) {
    return {
      reason: "not of the address family of the peer's address",
      remedy: "nothing helps here: the peer must have an address of this family",
    };
  }
  if (view.denyJoinId0 && !(endpoint.flags & (fullmesh | laminar))) {
    return {
      reason: "the peer denies joins to its initial address",
      remedy: "the peer must announce another address; limits: add_addr_accepted, or fullmesh on the endpoint",
    };
  }
  if (memory.used.includes(endpoint.id) && attempt) {
    const end = attempt.errno ? errnoText(attempt.errno) : "closed";
    return { reason: `already used once: its last attempt ended with "${end}"`, remedy: again };
  }
  if (memory.used.includes(endpoint.id)) return { reason: "already used once in this connection", remedy: again };
  return whyNoRoom(view);
}

function whyNoRoom(view: ConnectionView): Reason {
  const { subflows } = view.limits;
  if (view.extraSubflows >= subflows) {
    return {
      reason: `limit reached: ${view.extraSubflows} of ${subflows} additional subflows`,
      remedy: "raise the limit `subflows`, or wait for a subflow to close",
    };
  }
  return {
    reason: "waiting for the connection to be fully established, or for the next join",
    remedy: "send data, or add the endpoint again",
  };
}

function whyNotAnswered(view: ConnectionView, memory: Memory, remote: RemoteAddressView): Reason {
  const { addAddrAccepted, subflows } = view.limits;
  if (remote.state === "waiting") return { reason: "waiting for the route", remedy: "wait" };
  if (!familiesMatch(view.family, remote.address, remote.address)) {
    return {
      reason: "not of the connection's address family",
      remedy: "nothing helps here: the application's socket takes one family only",
    };
  }
  const attempt = view.attempts.findLast((a) => sameAddress(a.remote, remote.address));
  if (attempt) {
    const end = attempt.errno ? errnoText(attempt.errno) : "closed";
    return { reason: `its last attempt ended with "${end}"`, remedy: "the peer must announce it again" };
  }
  if (addAddrAccepted === 0) {
    return { reason: "limit add_addr_accepted is 0", remedy: "raise it: it decides for new connections" };
  }
  if (memory.addressesAccepted >= addAddrAccepted) {
    return {
      reason: `limit reached: ${memory.addressesAccepted} of ${addAddrAccepted} announcements accepted`,
      remedy: "raise the limit `add_addr_accepted`: it decides for new connections",
    };
  }
  if (view.extraSubflows >= subflows) {
    return {
      reason: `limit reached: ${view.extraSubflows} of ${subflows} additional subflows`,
      remedy: "raise the limit `subflows`, or wait for a subflow to close",
    };
  }
  if (view.countEndpoints(laminar) > 0) {
    return { reason: "every laminar endpoint of its family has a subflow", remedy: "add a laminar endpoint" };
  }
  return {
    reason: "no source address or no route when it was announced, or a limit was reached then",
    remedy: "the peer must announce it again",
  };
}
