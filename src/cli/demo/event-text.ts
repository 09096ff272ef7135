import { MPTCP_EVENT, type MptcpEvent } from "../../types/index.ts";
import { formatToken } from "../words.ts";

/** What an event says, in words; undefined for one that the demo has no use for. */
export function eventText(event: MptcpEvent, pathName: string): string | undefined {
  const path = `${event.localAddress} > ${event.remoteAddress} (${pathName})`;
  switch (event.type) {
    case MPTCP_EVENT.CREATED:
      return `connection ${formatToken(event.token)} created, initial subflow ${path}`;
    case MPTCP_EVENT.ESTABLISHED:
      return "connection established: more subflows are possible";
    case MPTCP_EVENT.ANNOUNCED:
      return `the server announced ${event.remoteAddress} with address id ${event.remoteId}`;
    case MPTCP_EVENT.REMOVED:
      return `the server removed address id ${event.remoteId}`;
    case MPTCP_EVENT.SUB_ESTABLISHED:
      return `subflow ${path} established`;
    case MPTCP_EVENT.SUB_CLOSED:
      return `subflow ${path} closed`;
    case MPTCP_EVENT.SUB_PRIORITY:
      return `subflow ${path} changed its priority`;
    case MPTCP_EVENT.CLOSED:
      return "connection closed";
    default:
      return undefined;
  }
}
