import {
  AF_INET,
  type Connection,
  type ConnectionLosses,
  type ConnectionReading,
  familyOf,
  type SubflowInfo,
  type SubflowLosses,
  type SubflowReading,
  type Token,
} from "../types/index.ts";
import {
  ALL_STATES,
  type DiagSocket,
  decodeDiagSocket,
  ESTABLISHED_STATE,
  IPPROTO,
  LISTEN_STATE,
  MPTCP_INFO_FLAG,
  type MptcpInfo,
  SUBFLOW_FLAG,
} from "../wire/index.ts";
import type { NetlinkClient, Request } from "./client.ts";
import { diagRequest, dumpSockets, isKernels, NO_SOCKET, openDiag, subflowInfo } from "./connections.ts";
import { NetlinkError } from "./errors.ts";
import type { SubflowHint } from "./find-connection.ts";

/** Which connection, and where its subflows are. */
export interface Readable {
  readonly token: Token;
  readonly subflows: readonly SubflowHint[];
}

/**
 * Reads what the kernel measures of single connections: each socket is looked up, nothing is dumped, so that the cost is that of what is
 * asked for (some 5 microseconds a socket), however many others there are.
 */
export class ConnectionReader implements Disposable {
  readonly #client: NetlinkClient;

  constructor(netns?: string) {
    this.#client = openDiag(netns);
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  /**
   * What there is of them, in one send; a connection or subflow that is gone is left out. Where the kernel does not tell, nothing was
   * measured: what can be measured again needs no error.
   */
  read(connections: readonly Readable[]): ConnectionReading[] {
    return unlessRefused(() => this.#sockets(connections), []).map(({ token, socket, subflows }) => {
      const { receivedInOrder, bytesReceived, outstanding } = socket.mptcp!;
      // Whether it moves is all that is asked: where the kernel does not count, its sequence number tells.
      return { token, bytesReceived: bytesReceived ?? receivedInOrder, outstanding, subflows: subflows.map(readingOf) };
    });
  }

  /** The same with all that there is to be shown of them. @throws NetlinkError where the kernel does not tell */
  look(connections: readonly Readable[]): ConnectionLook[] {
    return this.#sockets(connections).map(({ token, socket, subflows }) => {
      const info = socket.mptcp!;
      return {
        token,
        uid: socket.uid,
        isEstablished: socket.state === "established",
        fallback: (info.flags & MPTCP_INFO_FLAG.FALLBACK) !== 0,
        isKernels: isKernels(info),
        bytesSent: info.bytesSent,
        bytesReceived: info.bytesReceived,
        subflows: subflows.map((found) => {
          const { unacked, lastAckReceived } = found.tcp!;
          return { ...subflowInfo(found, found.subflow!), unacked, sinceAck: lastAckReceived };
        }),
      };
    });
  }

  #sockets(connections: readonly Readable[]): Found[] {
    const requests: Request[] = [];
    for (const { token, subflows } of connections) {
      requests.push(diagRequest({ family: AF_INET, protocol: IPPROTO.MPTCP, states: ALL_STATES, id: { token } }));
      for (const id of subflows) {
        const family = familyOf(id.path.local.address);
        requests.push(diagRequest({ family, protocol: IPPROTO.TCP, states: ALL_STATES, id }));
      }
    }
    // A connection's socket has its own numbers where a subflow has those of TCP: what is decoded is told by the request.
    const protocols = connections.flatMap(({ subflows }) => [IPPROTO.MPTCP, ...subflows.map(() => IPPROTO.TCP)]);
    const answers = this.#client.lookUpAll(requests, NO_SOCKET, (bytes, header, index) =>
      decodeDiagSocket(bytes, header, protocols[index] ?? IPPROTO.TCP),
    );
    let at = 0;
    return connections.flatMap(({ token, subflows }) => {
      const [socket, ...found] = answers.slice(at, at + 1 + subflows.length);
      at += 1 + subflows.length;
      if (socket?.mptcp?.token !== token) return [];
      const isOurs = (each: DiagSocket): boolean => each.tcp !== undefined && each.subflow?.token === token;
      return [{ token, socket, subflows: found.filter((each) => each !== undefined).filter(isOurs) }];
    });
  }
}

/** Tells what each connection of the in-kernel path manager has sent, and sent again: two dumps, whatever there is. */
export class LossReader implements Disposable {
  readonly #client: NetlinkClient;

  constructor(netns?: string) {
    this.#client = openDiag(netns);
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  /** Of those with several subflows. Nothing where the kernel does not tell: what can be read again needs no error. */
  read(): readonly ConnectionLosses[] {
    return unlessRefused(() => {
      const outstanding = new Map<Token, number>();
      for (const { mptcp } of dumpSockets(this.#client, IPPROTO.MPTCP, ESTABLISHED_STATE))
        if (mptcp && mayBeKernels(mptcp) && !(mptcp.flags & MPTCP_INFO_FLAG.FALLBACK))
          outstanding.set(mptcp.token, mptcp.outstanding);
      return outstanding.size > 0 ? this.#withSubflows(outstanding) : [];
    }, []);
  }

  #withSubflows(outstanding: ReadonlyMap<Token, number>): readonly ConnectionLosses[] {
    const subflows = new Map<Token, SubflowLosses[]>();
    for (const socket of dumpSockets(this.#client, IPPROTO.TCP, ALL_STATES & ~LISTEN_STATE)) {
      const token = socket.subflow?.token ?? 0;
      if (!socket.tcp || !outstanding.has(token)) continue;
      const list = subflows.get(token);
      if (list) list.push(lossesOf(socket));
      else subflows.set(token, [lossesOf(socket)]);
    }
    return [...subflows].flatMap(([token, each]) =>
      each.length > 1 ? [{ token, outstanding: outstanding.get(token) ?? 0, subflows: each }] : [],
    );
  }
}

/** Older kernels do not tell (before Linux 6.8). */
function mayBeKernels(info: MptcpInfo): boolean {
  return info.subflowsTotal === undefined || isKernels(info);
}

const BACKUP = SUBFLOW_FLAG.BKUP_LOC | SUBFLOW_FLAG.BKUP_REM;

function lossesOf({ local, remote, state, tcp, subflow }: DiagSocket): SubflowLosses {
  const { bytesSent, bytesRetransmitted, unacked, cwnd, lastAckReceived } = tcp!;
  const carries = state === "established" && (subflow!.flags & BACKUP) === 0;
  return { path: { local, remote }, bytesSent, bytesRetransmitted, unacked, cwnd, sinceAck: lastAckReceived, carries };
}

/** A connection whose MPTCP socket was found, with its information, and its subflows, with theirs. */
interface Found {
  readonly token: Token;
  readonly socket: DiagSocket;
  readonly subflows: readonly DiagSocket[];
}

/** What is to be shown of a connection. */
export interface ConnectionLook extends Pick<Connection, "token" | "uid" | "fallback" | "bytesSent" | "bytesReceived"> {
  readonly isEstablished: boolean;
  /** The in-kernel path manager has it, by what the kernel fills for its own only; false proves nothing. */
  readonly isKernels: boolean;
  /** Times in microseconds, as {@link SubflowInfo} has them, and in milliseconds since. */
  readonly subflows: readonly (SubflowInfo & Pick<SubflowReading, "unacked" | "sinceAck">)[];
}

function readingOf({ local, remote, state, tcp }: DiagSocket): SubflowReading {
  const { rtt, rttVar, rto, unacked, lost, backoff, bytesSent, bytesAcked, bytesReceived, mss } = tcp!;
  return {
    path: { local, remote },
    state,
    rtt: rtt / 1000,
    rttVar: rttVar / 1000,
    rto: rto / 1000,
    unacked,
    lost,
    retransmits: tcp!.totalRetransmits,
    backoff,
    bytesSent,
    bytesAcked,
    bytesReceived,
    bytesRetransmitted: tcp!.bytesRetransmitted,
    deliveryRate: tcp!.deliveryRate,
    mss,
    busy: tcp!.busy / 1000,
    sinceSent: tcp!.lastDataSent,
    sinceAck: tcp!.lastAckReceived,
    sinceReceived: tcp!.lastDataReceived,
  };
}

/** @returns `otherwise` where a system call fails */
export function unlessRefused<T>(ask: () => T, otherwise: T): T {
  try {
    return ask();
  } catch (error) {
    if (error instanceof NetlinkError) return otherwise;
    throw error;
  }
}
