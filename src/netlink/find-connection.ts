import { type Connection, type Path, pathKey, type SubflowInfo, type Token } from "../types/index.ts";
import { type DiagSocket, IPPROTO, LISTEN_STATE, SYN_SENT_STATE } from "../wire/index.ts";
import type { NetlinkClient } from "./client.ts";
import {
  type AddressLister,
  connectionInfo,
  dumpSockets,
  listConnections,
  lookUpSockets,
  openDiag,
  ownerOf,
  subflowInfo,
} from "./connections.ts";

/** Where a subflow is thought to be. The kernel finds a socket only with the interface that it is bound to (0: none). */
export interface SubflowHint {
  /** Local port 0: not known yet. */
  readonly path: Path;
  readonly interfaceIndex: number;
}

/**
 * Finds one connection by its token (mptcp_diag_dump_one). Its subflows can be found by their 4-tuples only, no filter of sock_diag
 * looks at tokens: they are looked up where the hints say, then among those with a SYN on its way, and where the kernel counts more
 * than were found (mptcpi_subflows_total, Linux 6.8), everything is dumped.
 */
export function findConnection(
  pm: AddressLister,
  netns: string | undefined,
  { token, hints }: { readonly token: Token; readonly hints: readonly SubflowHint[] },
): Connection | undefined {
  using client = openDiag(netns);
  const [socket] = lookUpSockets(client, IPPROTO.MPTCP, [{ token }]);
  const info = socket?.mptcp;
  if (!socket || !info || info.token !== token) return undefined;
  const subflows = findSubflows(client, socket, hints);
  if (subflows.filter(isCounted).length !== info.subflowsTotal) {
    return listConnections(pm, netns).find((connection) => connection.token === token);
  }
  return connectionInfo(socket, info, {
    subflows,
    isListening: (port) => dumpSockets(client, IPPROTO.MPTCP, LISTEN_STATE).some(({ local }) => local.port === port),
    owner: ownerOf(pm, socket, info),
  });
}

/** What the kernel counts: one that is on its way out is no subflow of the connection any more. */
function isCounted({ state }: SubflowInfo): boolean {
  return state === "established" || state === "syn-sent" || state === "syn-recv" || state === "close-wait";
}

function findSubflows(client: NetlinkClient, connection: DiagSocket, hints: readonly SubflowHint[]): SubflowInfo[] {
  const { interfaceIndex } = connection;
  const initial = { path: { local: connection.local, remote: connection.remote }, interfaceIndex };
  const known = [initial, ...hints.filter(({ path }) => path.local.port !== 0)];
  const found = new Map<string, SubflowInfo>();
  const sockets = lookUpSockets(client, IPPROTO.TCP, known);
  if (known.length <= hints.length) sockets.push(...dumpSockets(client, IPPROTO.TCP, SYN_SENT_STATE));
  for (const socket of sockets) {
    const { subflow, local, remote } = socket;
    if (!subflow || subflow.token !== connection.mptcp?.token) continue;
    found.set(pathKey({ local, remote }), subflowInfo(socket, subflow));
  }
  return [...found.values()];
}
