import {
  type Address,
  AF_INET,
  AF_INET6,
  type Connection,
  type ConnectionLife,
  type Endpoint,
  ERRNO,
  familyOf,
  type Listener,
  type Path,
  type Side,
  type SocketAddress,
  type SubflowInfo,
  type Token,
  unmap,
} from "../types/index.ts";
import {
  ALL_STATES,
  type DiagId,
  type DiagRequest,
  type DiagSocket,
  decodeDiagSocket,
  ESTABLISHED_STATE,
  encodeDiagRequest,
  encodeTcpDump,
  IPPROTO,
  LISTEN_STATE,
  MPTCP_INFO_FLAG,
  type MptcpInfo,
  SOCK_DIAG_BY_FAMILY,
  SUBFLOW_FLAG,
  type SubflowDiag,
  TCPDIAG_GETSOCK,
  type TcpInfo,
} from "../wire/index.ts";
import { NETLINK, NetlinkClient, type Request } from "./client.ts";
import { NetlinkError, UnsupportedError } from "./errors.ts";

const ZERO_TCP_INFO: TcpInfo = {
  rto: 0,
  rtt: 0,
  rttVar: 0,
  cwnd: 0,
  lost: 0,
  totalRetransmits: 0,
  mss: 0,
  bytesAcked: 0,
  bytesReceived: 0,
  bytesSent: 0,
  bytesRetransmitted: 0,
  backoff: 0,
  unacked: 0,
  lastDataSent: 0,
  lastDataReceived: 0,
  lastAckReceived: 0,
  deliveryRate: 0,
  busy: 0,
};

export function diagRequest(wanted: DiagRequest): Request {
  return {
    operation: wanted.protocol === IPPROTO.MPTCP ? "list MPTCP sockets" : "list TCP sockets",
    type: SOCK_DIAG_BY_FAMILY,
    write: (writer) => encodeDiagRequest(writer, wanted),
  };
}

/**
 * Dumps sockets of one protocol, both families. A dump of TCP sockets is a walk of the table of the whole machine, which costs more than all
 * else here as long as there are few of them: both families are taken in one.
 */
export function dumpSockets(client: NetlinkClient, protocol: DiagRequest["protocol"], states: number): DiagSocket[] {
  if (protocol === IPPROTO.TCP) {
    const request: Request = {
      operation: "list TCP sockets",
      type: TCPDIAG_GETSOCK,
      write: (writer) => encodeTcpDump(writer, states),
    };
    return client.dump(request, (bytes, header) => decodeDiagSocket(bytes, header, protocol));
  }
  const sockets: DiagSocket[] = [];
  for (const family of [AF_INET, AF_INET6]) {
    const request = diagRequest({ family, protocol, states });
    const found = client.dump(request, (bytes, header) => decodeDiagSocket(bytes, header, protocol));
    for (const socket of found) sockets.push(socket);
  }
  return sockets;
}

/** How the kernel says that there is no such socket (inet_diag_find_one_icsk, mptcp_diag_dump_one; EINVAL: of a family that it does not have). */
export const NO_SOCKET: ReadonlySet<number> = new Set([ERRNO.ENOENT, ERRNO.EINVAL]);

/** Looks up single sockets of one protocol, in one send; those that there are not are left out. */
export function lookUpSockets(
  client: NetlinkClient,
  protocol: DiagRequest["protocol"],
  ids: readonly DiagId[],
): DiagSocket[] {
  const requests = ids.map((id) => {
    const family = "path" in id ? familyOf(id.path.local.address) : AF_INET;
    return diagRequest({ family, protocol, states: ALL_STATES, id });
  });
  const answers = client.lookUpAll(requests, NO_SOCKET, (bytes, header) => decodeDiagSocket(bytes, header, protocol));
  return answers.filter((answer) => answer !== undefined);
}

export function openDiag(netns: string | undefined): NetlinkClient {
  return new NetlinkClient(NETLINK.SOCK_DIAG, { netns, receiveBuffer: 4 << 20 });
}

/** Every MPTCP socket of a namespace. @throws UnsupportedError */
export function dumpMptcp(client: NetlinkClient): DiagSocket[] {
  try {
    return dumpSockets(client, IPPROTO.MPTCP, ALL_STATES);
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === ERRNO.ENOENT) {
      throw new UnsupportedError("this kernel cannot list MPTCP sockets; it needs CONFIG_INET_MPTCP_DIAG", error);
    }
    throw error;
  }
}

/** Every listening MPTCP socket of a namespace. */
export function listListeners(netns?: string): Listener[] {
  using client = openDiag(netns);
  return dumpSockets(client, IPPROTO.MPTCP, LISTEN_STATE)
    .filter((socket) => socket.state === "listening")
    .map((socket) => ({ local: socket.local }));
}

/** Plain TCP sockets of a namespace, listening or established: those that belong to no MPTCP socket. */
export function listPlainTcp(netns?: string): { state: DiagSocket["state"]; path: Path }[] {
  using client = openDiag(netns);
  const key = ({ address, port }: SocketAddress): string => `${address} ${port}`;
  const listening = new Set(listListeners(netns).map(({ local }) => key(local)));
  return dumpSockets(client, IPPROTO.TCP, LISTEN_STATE | ESTABLISHED_STATE)
    .filter(({ subflow, state, local }) => !subflow && !(state === "listening" && listening.has(key(local))))
    .map(({ state, local, remote }) => ({ state, path: { local, remote } }));
}

/**
 * What connections live by: as {@link listConnections} knows it, or by their subflows alone where the kernel cannot list MPTCP sockets.
 * Nobody says then whose they are.
 */
export function listLives(pm: AddressLister, netns: string | undefined): readonly ConnectionLife[] {
  try {
    return listConnections(pm, netns);
  } catch (error) {
    if (error instanceof UnsupportedError) return listLivesBySubflows(netns);
    throw error;
  }
}

/** By TCP's part of sock_diag alone. The in-kernel path manager closes nothing whose peer is not capable (measured on Linux 6.18). */
export function listLivesBySubflows(netns: string | undefined): readonly ConnectionLife[] {
  using client = openDiag(netns);
  return [...dumpSubflows(client).values()].map((subflows) => {
    const isMptcp = subflows.some(({ join, ulpFlags }) => join || (ulpFlags & SUBFLOW_FLAG.MCAP_REM) !== 0);
    return { pathManager: undefined, fallback: !isMptcp, remoteKeyReceived: isMptcp, subflows };
  });
}

function dumpSubflows(client: NetlinkClient): Map<Token, SubflowInfo[]> {
  const subflows = new Map<Token, SubflowInfo[]>();
  for (const socket of dumpSockets(client, IPPROTO.TCP, ALL_STATES & ~LISTEN_STATE)) {
    const { subflow } = socket;
    if (!subflow || subflow.token === 0) continue;
    const list = subflows.get(subflow.token);
    if (list) list.push(subflowInfo(socket, subflow));
    else subflows.set(subflow.token, [subflowInfo(socket, subflow)]);
  }
  return subflows;
}

/** Every MPTCP connection of a namespace with its subflows, joined from the MPTCP and the TCP dump of sock_diag. */
export function listConnections(pm: AddressLister, netns: string | undefined): Connection[] {
  using client = openDiag(netns);
  const sockets = dumpMptcp(client);
  const subflows = dumpSubflows(client);
  const listening = new Set<number>();
  const connected: { socket: DiagSocket; info: MptcpInfo }[] = [];
  for (const socket of sockets) {
    if (socket.state === "listening") listening.add(socket.local.port);
    else if (socket.mptcp && socket.mptcp.token !== 0) connected.push({ socket, info: socket.mptcp });
  }
  return connected.map(({ socket, info }) =>
    connectionInfo(socket, info, {
      subflows: subflows.get(info.token) ?? [],
      isListening: (port) => listening.has(port),
      owner: ownerOf(pm, socket, info),
    }),
  );
}

/** States in which a socket has something to say or to hear still. */
const IN_USE: ReadonlySet<DiagSocket["state"]> = new Set([
  "established",
  "syn-sent",
  "fin-wait-1",
  "fin-wait-2",
  "close-wait",
]);

/** Local addresses of a namespace's TCP connections, subflows included; v4-mapped ones as IPv4. */
export function listAddressesInUse(netns: string | undefined): Set<Address> {
  using client = openDiag(netns);
  const sockets = dumpSockets(client, IPPROTO.TCP, ALL_STATES & ~LISTEN_STATE).filter(({ state }) => IN_USE.has(state));
  return new Set(sockets.map(({ local }) => unmap(local.address)));
}

export function subflowInfo(socket: DiagSocket, { flags, localId, remoteId }: SubflowDiag): SubflowInfo {
  const tcp = socket.tcp ?? ZERO_TCP_INFO;
  const join = (flags & (SUBFLOW_FLAG.JOIN_LOC | SUBFLOW_FLAG.JOIN_REM)) !== 0;
  return {
    path: { local: socket.local, remote: socket.remote },
    state: socket.state,
    localId,
    remoteId,
    join,
    initiated: (flags & (SUBFLOW_FLAG.JOIN_LOC | SUBFLOW_FLAG.MCAP_LOC)) !== 0,
    backupLocal: (flags & SUBFLOW_FLAG.BKUP_LOC) !== 0,
    backupRemote: (flags & SUBFLOW_FLAG.BKUP_REM) !== 0,
    fullyEstablished: (flags & SUBFLOW_FLAG.FULLY_ESTABLISHED) !== 0,
    ulpFlags: flags,
    interfaceIndex: socket.interfaceIndex,
    rtt: tcp.rtt,
    rttVar: tcp.rttVar,
    rto: tcp.rto,
    cwnd: tcp.cwnd,
    mss: tcp.mss,
    lost: tcp.lost,
    retransmits: tcp.totalRetransmits,
    bytesSent: tcp.bytesSent,
    bytesAcked: tcp.bytesAcked,
    bytesReceived: tcp.bytesReceived,
    bytesRetransmitted: tcp.bytesRetransmitted,
    uid: socket.uid,
    inode: socket.inode,
  };
}

/** The initial subflow tells; without it a listener on the local port; without that nothing does. */
function sideOf(
  socket: DiagSocket,
  subflows: readonly SubflowInfo[],
  isListening: Joined["isListening"],
): Side | undefined {
  const initial = subflows.find((subflow) => !subflow.join);
  if (initial) return initial.initiated ? "client" : "server";
  return isListening(socket.local.port) ? "server" : undefined;
}

interface Joined {
  readonly subflows: readonly SubflowInfo[];
  readonly isListening: (port: number) => boolean;
  readonly owner: Owner;
}

export function connectionInfo(socket: DiagSocket, info: MptcpInfo, joined: Joined): Connection {
  const { subflows, isListening, owner } = joined;
  return {
    token: info.token,
    state: socket.state,
    path: { local: socket.local, remote: socket.remote },
    side: sideOf(socket, subflows, isListening),
    pathManager: owner.pathManager,
    localAddresses: owner.localAddresses,
    fallback: (info.flags & MPTCP_INFO_FLAG.FALLBACK) !== 0,
    remoteKeyReceived: (info.flags & MPTCP_INFO_FLAG.REMOTE_KEY_RECEIVED) !== 0,
    checksum: info.checksum,
    extraSubflows: info.extraSubflows,
    subflowsTotal: info.subflowsTotal,
    addAddrSignaled: info.addAddrSignaled,
    addAddrAccepted: info.addAddrAccepted,
    bytesSent: info.bytesSent,
    bytesReceived: info.bytesReceived,
    bytesAcked: info.bytesAcked,
    bytesRetransmitted: info.bytesRetransmitted,
    retransmits: info.retransmits,
    uid: socket.uid,
    inode: socket.inode,
    cgroup: socket.cgroup,
    subflows,
  };
}

/** What a request with a token of the in-kernel path manager is refused with (pm_userspace.c). */
const KERNEL_OWNED = "userspace PM not selected";

interface Owner {
  readonly pathManager: Connection["pathManager"];
  readonly localAddresses: readonly Endpoint[] | undefined;
}
const USERSPACE: Owner = { pathManager: "userspace", localAddresses: undefined };
const KERNEL: Owner = { pathManager: "kernel", localAddresses: undefined };
const NOBODY_SAYS: Owner = { pathManager: undefined, localAddresses: undefined };

/** Whoever can be asked whose a connection is, and for its local addresses: `MptcpPm`. */
export interface AddressLister {
  /** `localAddresses` looks at the token (Linux 6.9). Before, it lists the endpoints of the kernel, whatever the token. */
  readonly looksAtTokens: boolean;
  /** What is refused of every connection, in other words of one that is not the userspace path manager's. @throws NetlinkError */
  askRefused(token: Token): void;
  /** @throws NetlinkError where the connection is not the userspace path manager's */
  localAddresses(token: Token): readonly Endpoint[];
}

/**
 * Which path manager owns a connection. The kernel fills limits and endpoint counts of mptcp_info for its own only, so
 * any non-zero one proves it without a question; of the others it is asked for the list of local addresses. Older kernels
 * (6.1) fill them for all and have no such list: the refusal of a request tells.
 */
export function ownerOf(pm: AddressLister, socket: DiagSocket, info: MptcpInfo): Owner {
  if (isKernels(info)) return KERNEL;
  if (socket.state !== "established") return NOBODY_SAYS;
  try {
    if (pm.looksAtTokens) return { pathManager: "userspace", localAddresses: pm.localAddresses(info.token) };
    pm.askRefused(info.token);
    return NOBODY_SAYS;
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    if (error.kernelMessage?.includes(KERNEL_OWNED)) return KERNEL;
    return error.kernelMessage?.includes(REFUSED_IN_USERSPACE) ? USERSPACE : NOBODY_SAYS;
  }
}

/** The in-kernel path manager owns it; false proves nothing. What an older kernel fills (here: before 6.8) is no proof. */
export function isKernels(info: MptcpInfo): boolean {
  if (info.subflowsTotal === undefined) return false;
  return info.limitSubflows + info.limitAddAddrAccepted + info.endpointsSignal + info.endpointsSubflow > 0;
}

/** What an announcement without an id is refused with where the connection is the userspace path manager's. */
const REFUSED_IN_USERSPACE = "invalid addr id";

const NOBODY: AddressLister = {
  looksAtTokens: true,
  askRefused: () => {
    throw UNASKED;
  },
  localAddresses: () => {
    throw UNASKED;
  },
};
const UNASKED = new NetlinkError("list local addresses", { errno: ERRNO.EAGAIN, kernelMessage: undefined });

/** The same without asking who owns each: `pathManager` is known where it is proven to be the kernel's. Two dumps, whatever there is. */
export function listSockets(netns?: string): Connection[] {
  return listConnections(NOBODY, netns);
}
