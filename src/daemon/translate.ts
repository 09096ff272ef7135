import type { EngineEvent } from "../engine/index.ts";
import { type Address, EVENT_FLAG, MPTCP_EVENT, type MptcpEvent, type Path, type Side } from "../types/index.ts";

/** Kernels before the fix of multipath-tcp/mptcp_net-next#603 report this for a subflow whose socket is gone already. */
const NO_ADDRESS = "0.0.0.0" as Address;

function pathOf(event: MptcpEvent): Path {
  return {
    local: { address: event.localAddress ?? NO_ADDRESS, port: event.localPort ?? 0 },
    remote: { address: event.remoteAddress ?? NO_ADDRESS, port: event.remotePort ?? 0 },
  };
}

function sideOf(event: MptcpEvent): Side {
  return event.serverSide === 1 || ((event.flags ?? 0) & EVENT_FLAG.serverSide) !== 0 ? "server" : "client";
}

function connectionFacts(event: MptcpEvent) {
  return {
    token: event.token,
    side: sideOf(event),
    path: pathOf(event),
    denyJoinId0: ((event.flags ?? 0) & EVENT_FLAG.denyJoinId0) !== 0,
  };
}

function subflowFacts(event: MptcpEvent) {
  return {
    token: event.token,
    path: pathOf(event),
    localId: event.localId ?? 0,
    remoteId: event.remoteId ?? 0,
  };
}

/** The engine's word for a kernel event; undefined for listeners and for events that this version does not know. */
export function translate(event: MptcpEvent): EngineEvent | undefined {
  switch (event.type) {
    case MPTCP_EVENT.CREATED:
      return { type: "connection.created", ...connectionFacts(event) };
    case MPTCP_EVENT.ESTABLISHED:
      return { type: "connection.established", ...connectionFacts(event) };
    case MPTCP_EVENT.CLOSED:
      return { type: "connection.closed", token: event.token };
    case MPTCP_EVENT.ANNOUNCED:
      if (event.remoteAddress === undefined) return undefined;
      return {
        type: "address.announced",
        token: event.token,
        remoteId: event.remoteId ?? 0,
        address: event.remoteAddress,
        port: event.remotePort ?? 0,
      };
    case MPTCP_EVENT.REMOVED:
      return { type: "address.removed", token: event.token, remoteId: event.remoteId ?? 0 };
    case MPTCP_EVENT.SUB_ESTABLISHED:
      return {
        type: "subflow.established",
        ...subflowFacts(event),
        backup: event.backup === 1,
        interfaceIndex: event.interfaceIndex,
      };
    case MPTCP_EVENT.SUB_CLOSED:
      return {
        type: "subflow.closed",
        ...subflowFacts(event),
        errno: event.error,
        resetReason: event.resetReason,
        resetFlags: event.resetFlags,
      };
    case MPTCP_EVENT.SUB_PRIORITY:
      return { type: "subflow.priority", ...subflowFacts(event), backup: event.backup === 1 };
    default:
      return undefined;
  }
}

/**
 * Turns one batch of kernel events into the engine's, in its order. The one exception that the engine asks for: an
 * announcement directly behind the establishment of its connection goes first, because the kernel's own worker serves
 * a received ADD_ADDR before the establishment (mptcp_pm_worker in net/mptcp/pm.c). And a creation directly before the
 * establishment says nothing that the latter does not: it is left out, for the second subflow waits.
 */
export function translateBatch(events: readonly MptcpEvent[]): EngineEvent[] {
  const result: EngineEvent[] = [];
  for (const [index, event] of events.entries()) {
    const translated = isSaidAgain(events, index) ? undefined : translate(event);
    if (!translated) continue;
    const last = result.at(-1);
    const swap =
      translated.type === "address.announced" &&
      last?.type === "connection.established" &&
      last.token === translated.token;
    if (swap) result.splice(-1, 0, translated);
    else result.push(translated);
  }
  return result;
}

/** A creation with its establishment right behind it; not when an announcement is to go in between and needs a connection. */
function isSaidAgain(events: readonly MptcpEvent[], index: number): boolean {
  const [event, next, afterNext] = [events[index], events[index + 1], events[index + 2]];
  if (event?.type !== MPTCP_EVENT.CREATED || next?.type !== MPTCP_EVENT.ESTABLISHED || next.token !== event.token)
    return false;
  return afterNext?.type !== MPTCP_EVENT.ANNOUNCED || afterNext.token !== event.token;
}
