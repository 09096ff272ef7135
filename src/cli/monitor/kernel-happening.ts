import { type Address, type KernelHappening, MPTCP_EVENT, type MptcpEvent } from "../../types/index.ts";

/** What an event of the kernel's is called, by its number: as readers of `watch` know it. */
const TYPES: ReadonlyMap<number, string> = new Map([
  [MPTCP_EVENT.CREATED, "connection.created"],
  [MPTCP_EVENT.ESTABLISHED, "connection.established"],
  [MPTCP_EVENT.CLOSED, "connection.closed"],
  [MPTCP_EVENT.ANNOUNCED, "address.announced"],
  [MPTCP_EVENT.REMOVED, "address.removed"],
  [MPTCP_EVENT.SUB_ESTABLISHED, "subflow.established"],
  [MPTCP_EVENT.SUB_CLOSED, "subflow.closed"],
  [MPTCP_EVENT.SUB_PRIORITY, "subflow.priority"],
  [MPTCP_EVENT.LISTENER_CREATED, "listener.created"],
  [MPTCP_EVENT.LISTENER_CLOSED, "listener.closed"],
]);

const NOWHERE = "0.0.0.0" as Address;

/** An event as happenings are told, without a daemon. */
export function kernelHappening(event: MptcpEvent, at: number): KernelHappening {
  const { localAddress = NOWHERE, remoteAddress = NOWHERE, localPort = 0, remotePort = 0 } = event;
  return {
    kind: "event",
    at,
    type: TYPES.get(event.type) ?? `event ${event.type}`,
    token: event.token,
    path: { local: { address: localAddress, port: localPort }, remote: { address: remoteAddress, port: remotePort } },
    localId: event.localId,
    remoteId: event.remoteId,
    address: event.remoteAddress,
    port: remotePort,
    backup: event.backup === 1,
    interfaceIndex: event.interfaceIndex,
    errno: event.error,
    resetReason: event.resetReason,
  };
}
