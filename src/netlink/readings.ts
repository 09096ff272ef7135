import { AF_INET, type ConnectionReading, familyOf, type SubflowReading, type Token } from "../types/index.ts";
import { ALL_STATES, type DiagSocket, decodeDiagSocket, IPPROTO } from "../wire/index.ts";
import type { NetlinkClient, Request } from "./client.ts";
import { diagRequest, openDiag } from "./connections.ts";
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

  /** What there is of them, in one send; a connection or subflow that is gone is left out. */
  read(connections: readonly Readable[]): ConnectionReading[] {
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
    const answers = this.#client.getAll(requests, (bytes, header, index) =>
      decodeDiagSocket(bytes, header, protocols[index] ?? IPPROTO.TCP),
    );
    let at = 0;
    return connections.flatMap(({ token, subflows }) => {
      const [socket, ...found] = answers.slice(at, at + 1 + subflows.length);
      at += 1 + subflows.length;
      if (!isSocket(socket) || socket.mptcp?.token !== token) return [];
      const { bytesReceived, outstanding } = socket.mptcp;
      return [{ token, bytesReceived, outstanding, subflows: found.flatMap((each) => readingOf(each, token)) }];
    });
  }
}

function isSocket(answer: DiagSocket | NetlinkError | undefined): answer is DiagSocket {
  return answer !== undefined && !(answer instanceof NetlinkError);
}

function readingOf(answer: DiagSocket | NetlinkError, token: Token): SubflowReading[] {
  if (!isSocket(answer) || !answer.tcp || answer.subflow?.token !== token) return [];
  const { local, remote, state, tcp } = answer;
  return [
    {
      path: { local, remote },
      state,
      rtt: tcp.rtt / 1000,
      rttVar: tcp.rttVar / 1000,
      rto: tcp.rto / 1000,
      unacked: tcp.unacked,
      lost: tcp.lost,
      retransmits: tcp.totalRetransmits,
      backoff: tcp.backoff,
      bytesSent: tcp.bytesSent,
      bytesAcked: tcp.bytesAcked,
      bytesReceived: tcp.bytesReceived,
      bytesRetransmitted: tcp.bytesRetransmitted,
      deliveryRate: tcp.deliveryRate,
      mss: tcp.mss,
      sinceSent: tcp.lastDataSent,
      sinceAck: tcp.lastAckReceived,
      sinceReceived: tcp.lastDataReceived,
    },
  ];
}
