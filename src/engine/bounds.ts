import type { Millis } from "../types/index.ts";

/**
 * Every bound of the engine, with its reason (the word *limits* is taken: it means `ip mptcp limits`).
 * What goes beyond one is turned down and counted in `EngineCounters.bounded`; nothing grows without end.
 */
export const BOUNDS = {
  /** Connections remembered. About 1 GiB at the size bench/engine.ts measures: a host that has more needs another design. */
  connectionsMax: 1 << 20,
  /**
   * Addresses kept per peer. Ids are 8 bit, so a peer could name 256; the kernel's own table holds 8 (MPTCP_PM_ADDR_MAX), and no
   * policy uses more than a few. The oldest one that is dealt with makes room.
   */
  remotesMax: 32,
  /**
   * Subflows remembered per connection, closing ones included. Limits end at 8 (64 since Linux 7.2); the rest is room for
   * joins on their way out. A join beyond is destroyed without being remembered.
   */
  subflowsMax: 96,
  /** Removals waiting for the RM_ADDR slot, or held because nothing else is left: one per address id there can be. */
  removalsMax: 256,
  /**
   * Pairs of addresses remembered per connection of which an attempt failed; the oldest makes room. As many pairs as are tried: a pair
   * that was forgotten would be tried at once.
   */
  attemptsMax: 64,
  /** Ends of subflows that are still to be told, after something else told that they are gone. */
  unheardMax: 8,
  /** So many refusals in a row, and a pair is given up until one of its addresses comes back. */
  refusalsMax: 8,
  /** How often one connection may be asked which ids the kernel has given away, before we leave an address out. */
  idConflictsMax: 4,
  /** Entries of a plan's lists but the subflows: as many as there can be endpoints. A plan beyond is refused as a whole. */
  plannedMax: 255,
  /** Characters kept of why a plan was refused: a line. */
  reasonMax: 200,
  /** Listeners being opened at one time: as many as there can be endpoints. */
  openingsMax: 255,
  /** Endpoints of the configuration looked at; the table itself holds {@link TableBounds.endpointsMax}. */
  configEndpointsMax: 255,
} as const;

/** What the endpoint table takes: the running kernel's own numbers, so that scripts meet the same walls. */
export interface TableBounds {
  /** MPTCP_PM_ADDR_MAX: 8 up to Linux 7.1, 255 since. */
  readonly endpointsMax: number;
  /** Highest value of both limits: 8 up to Linux 7.1, 64 since (MPTCP_PM_SUBFLOWS_MAX). */
  readonly limitMax: number;
}

/** Linux 6.18. */
export const TABLE_BOUNDS: TableBounds = { endpointsMax: 8, limitMax: 8 };

/** Times that the engine keeps, in milliseconds. */
export interface Timing {
  /**
   * From one announcement to the next, when no subflow comes in between, where the round trip is not known. The kernel goes on at the
   * echo, which no event tells us (net/mptcp/pm.c, mptcp_pm_add_addr_echoed): after a little more than a round trip it is there.
   */
  readonly announcePace: Millis;
  /** The same on the shortest paths: a peer serves one ADD_ADDR in well under this. */
  readonly announcePaceMin: Millis;
  /** And on the longest. */
  readonly announcePaceMax: Millis;
  /** From one RM_ADDR to the next: the peer has one slot, a dropped one is never sent again (MPTCP_PM_RM_ADDR_RECEIVED). */
  readonly removePace: Millis;
  /** From SUBFLOW_CREATE to asking what became of it. Above the kernel's own 127 s (tcp_syn_retries 6), so that it normally tells first. */
  readonly pendingMax: Millis;
  /** How long a SYN may go without an answer where what is wanted is tried again: three of them (0, 1 and 3 s). */
  readonly attemptMax: Millis;
  /** From a failure to the next attempt, at first and at most. */
  readonly retryMin: Millis;
  readonly retryMax: Millis;
  /** A subflow that lived so long was no failure. */
  readonly lasting: Millis;
  /** An address that was lost may come back so long, before it is taken back from a server's peers. */
  readonly returnMax: Millis;
  /** What was sent may wait for an acknowledgement at least so long before a path counts as silent; round trips come on top. */
  readonly silentMin: Millis;
  /** Data may arrive behind a hole at least so long before somebody asks which path has lost what belongs there. */
  readonly holeMin: Millis;
  /** How long a probe may go without an answer, at least; round trips come on top. */
  readonly probeMin: Millis;
  /** From one time that all paths of a connection are probed because nothing comes in to the next; doubles while all is well. */
  readonly askMin: Millis;
  /** A pause so long is asked about also within that time, and from one such time to the next: it doubles too. */
  readonly pauseMin: Millis;
  readonly askLateMin: Millis;
  /** A path of which nothing was heard for so long is probed, idle or not. */
  readonly unheardMax: Millis;
  /** From asking a policy to the earliest time at which it is asked again without a reason, however soon it wants to be. */
  readonly wakeMin: Millis;
  /** From one answered resync to the next: in a storm of overruns the dumps must not be what keeps us from reading. */
  readonly resyncPace: Millis;
}

/** The defaults of {@link Timing}. */
export const TIMING: Timing = {
  announcePace: 50,
  announcePaceMin: 20,
  announcePaceMax: 2000,
  removePace: 20,
  pendingMax: 150_000,
  attemptMax: 4000,
  retryMin: 200,
  retryMax: 300_000,
  lasting: 10_000,
  returnMax: 10_000,
  silentMin: 50,
  holeMin: 60,
  probeMin: 100,
  askMin: 10_000,
  pauseMin: 300,
  askLateMin: 1000,
  unheardMax: 30_000,
  wakeMin: 20,
  resyncPace: 250,
};
