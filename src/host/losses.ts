import {
  type Address,
  type ConnectionLosses,
  type Millis,
  pathKey,
  type SubflowLosses,
  unmap,
} from "../types/index.ts";

/*
 * How much is lost on the way from each local address: of all connections together, for what can be done about it (an endpoint's flags) is done to
 * all of them. What is judged is what was sent from one look to a later one.
 */

/** What was sent from one local address since it was judged last. */
export interface PathLosses {
  readonly address: Address;
  /** Bytes sent, and of those sent again; both 0 where it is too early to tell. */
  readonly sent: number;
  readonly resent: number;
  /** Connections that sent enough there to tell, and those of them that lost too much. */
  readonly judged: number;
  readonly lossy: number;
  /**
   * Some connection with a subflow there would have each path carry what it can: it has written more than is on its way, or its other paths
   * have no room, in this look and the one before.
   */
  readonly isFull: boolean;
  /** The others of some connection had no room not long ago: what is lost, is lost to a transfer that fills its paths. */
  readonly isCrowded: boolean;
  /** Some connection has data on its way there, and no other subflow that would carry them. */
  readonly isNeeded: boolean;
}

const SEGMENT = 1000;
/** Of few segments many must be lost to tell, of many fewer: a share says little of what it is a share of. */
const LOSSY = [
  { segments: 40, share: 0.15 },
  { segments: 100, share: 0.1 },
  { segments: 200, share: 0.07 },
] as const;
/** Where it was too much not long ago, it has to be better than that. */
const STILL_LOSSY = [{ segments: 40, share: 0.05 }] as const;
const SENT_MIN = LOSSY[0].segments * SEGMENT;
/** What one connection sent there counts as a judgement of its own from here on. */
const JUDGED_MIN = 10 * SEGMENT;
const WINDOW_MIN: Millis = 400;
/** Of what was so long ago nothing follows, where there was enough to tell; and where there was not. */
const WINDOW: Millis = 5000;
const WINDOW_MAX: Millis = 30_000;
/** Data that wait so long for a word from the peer do not move. */
const MOVING: Millis = 1000;
/** A path has room where so much of its window is free. */
const ROOM = 0.3;
/** For so long it is remembered that there was none. */
const CROWDED: Millis = 2000;
const SEGMENT_MAX = 1460;
/** Written in one go, it is not yet a transfer that fills the paths. */
const BACKLOG_MIN = 65_536;

/** So much of what was sent had to be sent again that the path is better left alone. @param wasLossy not long ago */
export function isTooMuch({ sent, resent }: Carried, wasLossy: boolean): boolean {
  const bounds = wasLossy ? STILL_LOSSY : LOSSY;
  return bounds.some(({ segments, share }) => sent >= segments * SEGMENT && resent >= share * sent);
}

interface Carried {
  readonly sent: number;
  readonly resent: number;
}

interface Window {
  readonly since: Millis;
  readonly carried: ReadonlyMap<string, Carried>;
}

interface Found {
  readonly connection: ConnectionLosses;
  readonly subflow: SubflowLosses;
}

/** Makes looks at all connections comparable: what each local address has sent, and lost, in between. */
export class LossMeter {
  readonly #windows = new Map<Address, Window>();
  /** When the other paths of some connection with a subflow there had no room, and whether it was so in the last look. */
  readonly #crowded = new Map<Address, { readonly at: Millis; isLast: boolean }>();

  /** Nothing is looked at for a while. */
  forget(): void {
    this.#windows.clear();
    this.#crowded.clear();
  }

  /** @returns of each local address with a subflow, what was sent from there */
  look(connections: readonly ConnectionLosses[], now: Millis): readonly PathLosses[] {
    const byAddress = new Map<Address, Found[]>();
    for (const connection of connections) {
      for (const subflow of connection.subflows) {
        const address = unmap(subflow.path.local.address);
        const list = byAddress.get(address);
        if (list) list.push({ connection, subflow });
        else byAddress.set(address, [{ connection, subflow }]);
      }
    }
    for (const memory of [this.#windows, this.#crowded])
      for (const address of memory.keys()) if (!byAddress.has(address)) memory.delete(address);
    return [...byAddress].map(([address, found]) => this.#judge(address, found, now));
  }

  #judge(address: Address, found: readonly Found[], now: Millis): PathLosses {
    const window = this.#windows.get(address);
    const { sent, resent, judged, lossy } = sinceThen(found, window?.carried);
    const age = window ? now - window.since : 0;
    const isTold = window !== undefined && age >= WINDOW_MIN && age <= WINDOW_MAX && sent >= SENT_MIN;
    const isOver = age > WINDOW_MAX || (isTold && (age > WINDOW || isTooMuch({ sent, resent }, false)));
    if (!window || isOver) this.#windows.set(address, { since: now, carried: carriedNow(found) });
    const crowding = this.#crowding(address, found, now);
    const isFull = crowding.lasts || found.some(({ connection }) => isPiled(connection));
    const isNeeded = found.some(({ connection, subflow }) => subflow.carries && !hasOther(connection, address));
    const told = isTold ? { sent, resent, judged, lossy } : { sent: 0, resent: 0, judged: 0, lossy: 0 };
    return { address, ...told, isFull, isCrowded: crowding.isRecent, isNeeded };
  }

  #crowding(address: Address, found: readonly Found[], now: Millis): { lasts: boolean; isRecent: boolean } {
    const before = this.#crowded.get(address);
    if (found.some(({ connection }) => !haveRoom(connection, address))) {
      this.#crowded.set(address, { at: now, isLast: true });
      return { lasts: before?.isLast === true, isRecent: true };
    }
    if (before) before.isLast = false;
    return { lasts: false, isRecent: before !== undefined && now - before.at < CROWDED };
  }
}

/** A subflow that is new since then has sent all that it has since then. */
function sinceThen(
  found: readonly Found[],
  before: Window["carried"] | undefined,
): Pick<PathLosses, "sent" | "resent" | "judged" | "lossy"> {
  const byConnection = new Map<ConnectionLosses, Carried>();
  for (const each of found) {
    const from = before?.get(keyOf(each));
    const so = byConnection.get(each.connection);
    byConnection.set(each.connection, {
      sent: (so?.sent ?? 0) + each.subflow.bytesSent - (from?.sent ?? 0),
      resent: (so?.resent ?? 0) + each.subflow.bytesRetransmitted - (from?.resent ?? 0),
    });
  }
  let [sent, resent, judged, lossy] = [0, 0, 0, 0];
  for (const each of byConnection.values()) {
    sent += each.sent;
    resent += each.resent;
    if (each.sent < JUDGED_MIN) continue;
    judged++;
    if (each.resent >= STILL_LOSSY[0].share * each.sent) lossy++;
  }
  return { sent, resent, judged, lossy };
}

function carriedNow(found: readonly Found[]): Map<string, Carried> {
  return new Map(
    found.map((each) => {
      const { bytesSent, bytesRetransmitted } = each.subflow;
      return [keyOf(each), { sent: bytesSent, resent: bytesRetransmitted }];
    }),
  );
}

function keyOf({ connection, subflow }: Found): string {
  return `${connection.token} ${pathKey(subflow.path)}`;
}

function isPiled({ outstanding, subflows }: ConnectionLosses): boolean {
  const onTheirWay = subflows.reduce((sum, { unacked }) => sum + unacked * SEGMENT_MAX, 0);
  return outstanding > 2 * onTheirWay + BACKLOG_MIN;
}

/** Another path of it could carry more. What has no other to carry anything is {@link PathLosses.isNeeded}. */
function haveRoom({ subflows }: ConnectionLosses, address: Address): boolean {
  const others = subflows.filter(({ carries, path }) => carries && unmap(path.local.address) !== address);
  return others.length === 0 || others.some(({ unacked, cwnd }) => unacked < (1 - ROOM) * cwnd);
}

function hasOther({ subflows }: ConnectionLosses, address: Address): boolean {
  return subflows.some(
    ({ carries, path, unacked, sinceAck }) =>
      carries && unmap(path.local.address) !== address && (unacked === 0 || sinceAck < MOVING),
  );
}
