import { type FallenConnection, UnsupportedError } from "../../netlink/index.ts";
import type { Millis, Token } from "../../types/index.ts";

/**
 * Why connections became plain TCP, by the kernel's counter of it: a closed set. Which of them a kernel has depends on its version.
 * The first ones are those of the handshake.
 */
export const FALLBACK_REASONS: ReadonlyMap<string, string> = new Map([
  ["MPCapableFallbackSYNACK", "no_mptcp_in_synack"],
  ["MPCapableFallbackACK", "no_mptcp_in_ack"],
  ["MPCapableSYNTXDrop", "syn_dropped"],
  ["MPCapableSYNTXDisabled", "blackhole_known"],
  ["MPFallbackTokenInit", "no_token"],
  ["SimultConnectFallback", "simultaneous_connect"],
  ["MD5SigFallback", "md5"],
  ["MPCapableDataFallback", "no_mapping_in_first_data"],
  ["DssFallback", "no_mapping"],
  ["DSSCorruptionFallback", "corrupted_mapping"],
]);

/** Listing all sockets costs some 15 µs each: it is not done more often, nor takes more than a fiftieth of the time. */
const PACE: Millis = 5000;
const SHARE = 50;

/** How many connections are plain TCP now. */
export interface FallenCount {
  /** undefined: this kernel does not tell. */
  readonly handshake: number | undefined;
  readonly later: number;
}

/**
 * Connections that fell back. The daemon hears of those that began with MPTCP; of the others no event tells, so that sockets are listed: only where
 * the kernel's counters say that there are new ones, or while some were there.
 */
export class Fallen {
  readonly #list: () => readonly FallenConnection[];
  readonly #now: () => Millis;
  #found: readonly FallenConnection[] | undefined = [];
  #counted = "";
  #next: Millis = Number.NEGATIVE_INFINITY;

  /** @param list throws where the kernel cannot tell */
  constructor(list: () => readonly FallenConnection[], now: () => Millis) {
    this.#list = list;
    this.#now = now;
  }

  /**
   * @param known tokens of those that the daemon knows of
   * @param uid undefined: of every user
   */
  count(
    counters: Readonly<Record<string, number>>,
    known: readonly Token[],
    uid: number | undefined = undefined,
  ): FallenCount {
    this.#look(counters);
    const found = this.#found?.filter((each) => uid === undefined || each.uid === uid);
    const early = new Set(found?.filter(({ at }) => at === "handshake").map(({ token }) => token));
    const late = new Set(found?.filter(({ at }) => at === "later").map(({ token }) => token));
    for (const token of known) if (!early.has(token)) late.add(token);
    return { handshake: found && early.size, later: late.size };
  }

  #look(counters: Readonly<Record<string, number>>): void {
    const counted = [...FALLBACK_REASONS.keys()].map((name) => counters[name] ?? 0).join();
    const begin = this.#now();
    const isNew = /[1-9]/.test(counted) && counted !== this.#counted;
    if (!this.#found || begin < this.#next || (!isNew && this.#found.length === 0)) return;
    try {
      this.#found = this.#list();
    } catch (error) {
      // Anything else may pass.
      if (error instanceof UnsupportedError) this.#found = undefined;
    }
    this.#counted = counted;
    this.#next = begin + Math.max(PACE, SHARE * (this.#now() - begin));
  }
}
