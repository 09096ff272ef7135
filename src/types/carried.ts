import type { Connection, SubflowInfo } from "./mptcp.ts";

/** Bytes of a connection as far as they are known. */
export interface Carried {
  readonly sent: number;
  readonly received: number;
  /** False: counted are the subflows that live, those that are gone may have carried more (before Linux 6.5). */
  readonly exact: boolean;
}

/** What a connection has carried: by the kernel's count, or where it has none by those of TCP, repetitions left out. */
export function carriedBy(connection: {
  readonly bytesSent: Connection["bytesSent"];
  readonly bytesReceived: Connection["bytesReceived"];
  readonly subflows: readonly Pick<SubflowInfo, "bytesSent" | "bytesReceived" | "bytesRetransmitted">[];
}): Carried {
  const { bytesSent, bytesReceived, subflows } = connection;
  if (bytesSent !== undefined && bytesReceived !== undefined)
    return { sent: bytesSent, received: bytesReceived, exact: true };
  let sent = 0;
  let received = 0;
  for (const subflow of subflows) {
    sent += subflow.bytesSent - subflow.bytesRetransmitted;
    received += subflow.bytesReceived;
  }
  return { sent, received, exact: false };
}
