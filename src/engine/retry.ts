import { type Address, ERRNO, type Millis, sameAddress, type Token } from "../types/index.ts";
import { BOUNDS, type Timing } from "./bounds.ts";
import type { Connection } from "./model.ts";
import { type AttemptView, attemptOf } from "./policy.ts";
import type { State } from "./state.ts";
import type { Subflow } from "./subflow.ts";

/*
 * How attempts to open a subflow ended, and when the next may be made. Back-off is per pair of addresses and connection, grows from
 * failure to failure, and begins anew when a subflow has lasted, or when what failed has come back: the endpoint, the announcement.
 */

/** How a subflow, or the attempt at one, has ended. */
export interface Ending {
  /** Positive; 0: by FIN, or not told. */
  readonly errno: number;
  /** RFC 8684 §3.6, of a received MP_TCPRST. */
  readonly resetReason?: number | undefined;
  /** We closed it, because its path had gone silent. */
  readonly silent?: boolean | undefined;
}

/** RFC 8684 §3.6: 3 is "administratively prohibited". */
const PROHIBITED = 3;

/** Remembers how a subflow that should be there has ended. */
export function noteEnding(state: State, connection: Connection, subflow: Subflow, ending: Ending): void {
  const local = subflow.path.local.address;
  const remote = subflow.path.remote.address;
  const before = attemptOf(connection.attempts, local, remote);
  const hasLasted = subflow.since !== undefined && state.now - subflow.since >= state.timing.lasting;
  const failures = hasLasted ? 1 : (before?.failures ?? 0) + 1;
  const ended = whyEnded(subflow, ending, failures);
  const attempt: AttemptView = {
    local,
    remote,
    failures,
    errno: ending.errno,
    at: state.now,
    lostAt: subflow.since === undefined ? before?.lostAt : state.now,
    retryAt: ended === "" ? state.now + backOff(state.timing, connection.token, failures) : Number.POSITIVE_INFINITY,
    ended,
    silent: ending.silent ?? false,
    falseAlarms: before?.falseAlarms ?? 0,
  };
  const others = connection.attempts.filter((other) => other !== before);
  if (others.length >= BOUNDS.attemptsMax) others.splice(leastWorth(connection, others), 1);
  connection.attempts = [...others, attempt];
}

/** Which failure makes room: the oldest at an address that the peer has taken back since, or else the oldest of all. */
function leastWorth(connection: Connection, attempts: readonly AttemptView[]): number {
  const gone = attempts.findIndex(({ remote }) => !isThere(connection, remote));
  return Math.max(0, gone);
}

/**
 * So many pairs have failed that no other is begun, for it might be one that was forgotten. Those at addresses that the peer has taken back do
 * not count: who announces without end would leave the connection without the subflows that it could have.
 */
export function isFull(connection: Connection): boolean {
  const { attempts } = connection;
  if (attempts.length < BOUNDS.attemptsMax) return false;
  return attempts.filter(({ remote }) => isThere(connection, remote)).length >= BOUNDS.attemptsMax;
}

/** The peer has it, as far as is known. */
function isThere({ initialRemote, remotes, subflows }: Connection, remote: Address): boolean {
  return (
    sameAddress(initialRemote.address, remote) ||
    remotes.some(({ address }) => sameAddress(address, remote)) ||
    subflows.some(({ path }) => sameAddress(path.remote.address, remote))
  );
}

/** Why it is not tried again; "": it is. */
function whyEnded(subflow: Subflow, { errno, resetReason }: Ending, failures: number): string {
  if (resetReason === PROHIBITED) return "the peer prohibits it";
  if (failures < BOUNDS.refusalsMax) return "";
  if (errno === ERRNO.ECONNREFUSED || errno === ERRNO.ECONNRESET) return `refused ${failures} times in a row`;
  if (errno === 0 && subflow.since !== undefined) return `closed at once by the peer, ${failures} times in a row`;
  return "";
}

/** What has come back without a word is found after half as long again as it was away. */
const GROWTH = 1.5;

/** Grows with each failure; a quarter of it more or less, so that many connections do not try at one moment. */
function backOff({ retryMin, retryMax }: Timing, token: Token, failures: number): Millis {
  const base = Math.min(retryMax, retryMin * GROWTH ** Math.min(failures - 1, 32));
  // Pure, and as good as chance: Knuth's multiplier over what differs between connections and attempts.
  const spread = (Math.imul(token + failures, 2654435761) >>> 0) / 2 ** 32;
  return base * (0.75 + spread / 2);
}

/** The peer closes what comes from there when it reads our RM_ADDR, also what was opened meanwhile: until then nothing is. */
export function rest({ now, timing }: State, connection: Connection, address: Address): void {
  const others = connection.resting.filter(({ until }) => until > now);
  connection.resting = [...others, { address, until: now + timing.retryMin }];
}

/** When a subflow between the two may be opened, as far as it was tried before or its address rests. */
export function retryAtOf({ attempts, resting }: Connection, local: Address, remote: Address): Millis {
  let at = attemptOf(attempts, local, remote)?.retryAt ?? 0;
  for (const { address, until } of resting) if (until > at && sameAddress(address, local)) at = until;
  return at;
}

/** What stood in the way is another now: what failed from or to the address can be tried at once. */
export function forgetFailures(connection: Connection, address: Address): void {
  if (connection.attempts.length === 0) return;
  connection.attempts = connection.attempts.filter(
    ({ local, remote }) => !sameAddress(local, address) && !sameAddress(remote, address),
  );
}

/** The network has changed: nobody need wait for a back-off, and what was ended for good stays so. */
export function shortenWaits(connection: Connection, now: Millis): void {
  connection.attempts = connection.attempts.map((attempt) =>
    attempt.ended === "" && attempt.retryAt > now ? { ...attempt, retryAt: now } : attempt,
  );
}
