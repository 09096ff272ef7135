import type { Address, Millis, SocketAddress, Token } from "../types/index.ts";
import type { Random } from "./random.ts";

/** From 1 ms to 1 s, there and back. */
const ROUND_TRIP_MAX: Millis = 1000;
/** How much later than the one before a packet may come, and how long the peer's worker may take for an ADD_ADDR. */
const JITTER_MAX: Millis = 10;
const SERVICE_MAX: Millis = 20;
/** TCP_RTO_MIN; since Linux 6.18 the ADD_ADDR timer is the connection's RTO, doubled each time (mptcp_pm_add_timer). */
const RTO_MIN: Millis = 200;
const RETRANSMISSIONS_MAX = 3;

interface Announcement {
  readonly token: Token;
  readonly address: Address;
  readonly port: number;
  /** Counts up when it is announced anew: what was on its way before counts no more. */
  turn: number;
  received: boolean;
}

interface Arrival {
  readonly announcement: Announcement;
  readonly turn: number;
  readonly at: Millis;
  readonly retransmissions: number;
}

/** One connection's way to the peer, and the one slot for a received ADD_ADDR at its end. */
interface Way {
  readonly delay: Millis;
  busyUntil: Millis;
}

const keyOf = (token: Token, { address, port }: SocketAddress): string => `${token} ${address} ${port}`;

/**
 * The far end of the announcements: each takes its time, and one that comes while another is being served is dropped without an echo
 * (AddAddrDrop), so that our kernel sends it again, three times at most. Nothing of this is an event for us.
 */
export class Peer {
  /** ADD_ADDRs that found the slot taken. */
  dropped = 0;
  readonly #random: Random;
  readonly #announcements = new Map<string, Announcement>();
  readonly #ways = new Map<Token, Way>();
  #arrivals: Arrival[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Our kernel has taken an ANNOUNCE, the first one or again. */
  announced(token: Token, { address, port }: SocketAddress, now: Millis): void {
    const key = keyOf(token, { address, port });
    const announcement = this.#announcements.get(key) ?? { token, address, port, turn: 0, received: false };
    announcement.turn++;
    announcement.received = false;
    this.#announcements.set(key, announcement);
    this.#send(announcement, now, 0);
  }

  /** Did it reach the peer? */
  hasReceived(token: Token, local: SocketAddress): boolean {
    return this.#announcements.get(keyOf(token, local))?.received ?? false;
  }

  /** What has arrived until now is dealt with. */
  settle(now: Millis): void {
    for (;;) {
      const [next] = this.#arrivals.sort((a, b) => a.at - b.at);
      if (!next || next.at > now) return;
      this.#arrivals.shift();
      if (next.turn === next.announcement.turn) this.#arrive(next);
    }
  }

  #arrive({ announcement, at, retransmissions }: Arrival): void {
    const way = this.#way(announcement.token);
    if (at >= way.busyUntil) {
      way.busyUntil = at + this.#random.below(SERVICE_MAX);
      announcement.received = true;
      return;
    }
    this.dropped++;
    if (retransmissions === RETRANSMISSIONS_MAX) return;
    const timeout = Math.max(RTO_MIN, 2 * way.delay) * 2 ** retransmissions;
    this.#send(announcement, at - way.delay + timeout, retransmissions + 1);
  }

  #send(announcement: Announcement, now: Millis, retransmissions: number): void {
    const at = now + this.#way(announcement.token).delay + this.#random.below(JITTER_MAX);
    this.#arrivals.push({ announcement, turn: announcement.turn, at, retransmissions });
  }

  #way(token: Token): Way {
    let way = this.#ways.get(token);
    if (!way) {
      way = { delay: ROUND_TRIP_MAX ** this.#random.next() / 2, busyUntil: 0 };
      this.#ways.set(token, way);
    }
    return way;
  }
}
