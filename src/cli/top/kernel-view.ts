import { listSockets } from "../../netlink/index.ts";
import {
  type Connection,
  carriedBy,
  pathKey,
  type SubflowInfo,
  type WatchedConnection,
  type WatchedSubflow,
} from "../../types/index.ts";

/** What the kernel's dumps show, without a daemon: no policy, no events, no reasons. */
export class KernelView {
  readonly #netns: string | undefined;
  #before = new Map<string, { readonly at: number; readonly sent: number; readonly received: number }>();

  constructor(netns: string | undefined) {
    this.#netns = netns;
  }

  /** @throws UnsupportedError; NetnsError */
  read(at: number): WatchedConnection[] {
    const counted = new Map<string, { at: number; sent: number; received: number }>();
    const ratesOf = (key: string, { bytesSent, bytesReceived }: { bytesSent: number; bytesReceived: number }) => {
      counted.set(key, { at, sent: bytesSent, received: bytesReceived });
      const before = this.#before.get(key);
      if (!before) return { sendRate: 0, receiveRate: 0 };
      const rate = (bytes: number): number => Math.max(0, Math.round((bytes * 1000) / Math.max(1, at - before.at)));
      return { sendRate: rate(bytesSent - before.sent), receiveRate: rate(bytesReceived - before.received) };
    };
    const shown = listSockets(this.#netns).map((connection): WatchedConnection => {
      const { token, side, path, state, pathManager, fallback, uid, subflows } = connection;
      const { sent: bytesSent, received: bytesReceived } = carriedBy(connection);
      const key = `${token}`;
      return {
        token,
        side,
        initial: path,
        established: state === "established",
        pathManager,
        fallback,
        uid,
        policy: undefined,
        rule: undefined,
        measuredAt: at,
        bytesSent,
        bytesReceived,
        ...ratesOf(key, { bytesSent, bytesReceived }),
        subflows: subflows.map((info) => subflowOf(info, ratesOf(`${key} ${pathKey(info.path)}`, info))),
      };
    });
    this.#before = counted;
    return shown;
  }
}

function subflowOf(
  info: SubflowInfo & Partial<Connection>,
  rates: Pick<WatchedSubflow, "sendRate" | "receiveRate">,
): WatchedSubflow {
  const { path, localId, remoteId, join, initiated, state, interfaceIndex, lost, retransmits } = info;
  return {
    path,
    localId,
    remoteId,
    join,
    initiated,
    state,
    backup: info.backupLocal,
    backupByPeer: info.backupRemote,
    held: false,
    quarantined: false,
    isProbe: false,
    interfaceIndex,
    rtt: info.rtt / 1000,
    rttVar: info.rttVar / 1000,
    lost,
    unacked: 0,
    retransmits,
    bytesSent: info.bytesSent,
    bytesReceived: info.bytesReceived,
    ...rates,
    sinceAck: 0,
  };
}
