import type { Engine, EngineEvent } from "../engine/index.ts";
import { ConnectionReader, NetstatReader } from "../netlink/index.ts";
import type { Millis } from "../types/index.ts";
import { Turns } from "./tuning/turns.ts";

/** What TCP and MPTCP count when a packet goes without an answer, or arrives out of order: then something may be wrong with a path. */
const DOUBTS = [
  "TCPTimeouts",
  "TCPLossProbes",
  "TCPLostRetransmit",
  "TCPFastRetrans",
  "OFOQueue",
  "OFOQueueTail",
  "MPTCPRetrans",
] as const;
/** Grow as data go out, and as anything comes in. */
const SENT = "TCPOrigDataSent";
const RECEIVED = "InOctets";
/** So many looks something came in, without a pause: where it stops now, something may be lost. */
const STEADY = 8;

/** From one look at the counters to the next: in doubt, while data flow, and when none did for a while. */
const PACE = { doubt: 15, traffic: 40, quiet: 250, idle: 1000 } as const satisfies Record<string, Millis>;
/** Without traffic for so long it is idle. */
const QUIET_FOR: Millis = 10_000;
/** Each connection is looked at now and then, also without a doubt: a path may have died while nothing was on its way. Less often without traffic. */
const SWEEP = { traffic: 10_000, idle: 20_000 } as const satisfies Record<string, Millis>;
/** Nothing came in for so long. */
const QUIET_MIN: Millis = 40;
/** Connections of one look: some thousand would be milliseconds. */
const LOOK_MAX = 64;
/** After a look, so many times as long as it took nothing is looked at: less at the beginning of a doubt, when each look may end a stall. */
const REST = 50;
const REST_AT_FIRST = 6;
const AT_FIRST: Millis = 1000;

export interface WatchOptions {
  readonly engine: Pick<Engine, "watched" | "watchedCount" | "isInDoubt" | "measures">;
  readonly handleAll: (events: readonly EngineEvent[]) => void;
  readonly now: () => Millis;
}

/**
 * Notices that paths go silent. The kernel tells nobody of it, but it counts, for the whole namespace, what went without an answer: reading
 * those counters costs some microseconds, and only when they move the connections themselves are looked at. Nothing runs while no
 * connection has a second subflow.
 */
export class PathWatch implements Disposable {
  readonly #options: WatchOptions;
  readonly #counters: NetstatReader;
  readonly #reader: ConnectionReader;
  readonly #turns = new Turns(() => this.#turn(), PACE.idle);
  #before = { doubts: 0, sent: 0, received: 0 };
  /** How many looks something came in at, without a pause between them, and since when nothing does. */
  #steady = 0;
  #quietSince: Millis | undefined;
  #trafficAt: Millis = 0;
  #sweptAt: Millis = 0;
  #restUntil: Millis = 0;
  /** How many connections there were at the last look. */
  #seen = 0;
  #doubtSince: Millis | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#counters = new NetstatReader([SENT, RECEIVED, ...DOUBTS]);
    this.#reader = new ConnectionReader();
  }

  [Symbol.dispose](): void {
    this.#turns[Symbol.dispose]();
    this.#counters[Symbol.dispose]();
    this.#reader[Symbol.dispose]();
  }

  /** To be called after events: there may be something to be watched now. */
  wake(): void {
    if (!this.#turns.isRunning && this.#options.engine.watchedCount > 0) this.#turns.begin(PACE.traffic);
  }

  /** @returns when the next is due; undefined: there is nothing to be watched */
  #turn(): Millis | undefined {
    const { engine, now } = this.#options;
    if (engine.watchedCount === 0) return undefined;
    const at = now();
    const isDoubtful = this.#count(at);
    const isQuiet = this.#isStopping && this.#isPause(at);
    const sweep = at - this.#trafficAt < QUIET_FOR ? SWEEP.traffic : SWEEP.idle;
    const isDue = at - this.#sweptAt >= Math.min(sweep, engine.measures) / Math.ceil(engine.watchedCount / LOOK_MAX);
    const isWanted = isDoubtful || isQuiet || engine.isInDoubt || isDue || this.#isNewcomerNear();
    if (isWanted && at >= this.#restUntil) {
      this.#look(at, isQuiet);
      // Told once.
      if (isQuiet) this.#steady = 0;
    }
    if (engine.isInDoubt || isDoubtful || this.#isStopping) return Math.max(PACE.doubt, this.#restUntil - now());
    const quiet = at - this.#trafficAt;
    const pace = quiet < PACE.quiet ? PACE.traffic : quiet < QUIET_FOR ? PACE.quiet : PACE.idle;
    return Math.min(pace, engine.measures);
  }

  /**
   * What is seen of a connection in a doubt is judged by what was seen before: of few connections a new one is looked at soon. Of
   * many each is, in its turn.
   */
  #isNewcomerNear(): boolean {
    const { watchedCount } = this.#options.engine;
    this.#seen = Math.min(this.#seen, watchedCount);
    return watchedCount > this.#seen && watchedCount <= LOOK_MAX;
  }

  /** @returns whether something went without an answer since the last time */
  #count(at: Millis): boolean {
    const [sent = 0, received = 0, ...doubtful] = this.#counters.read();
    const doubts = doubtful.reduce((sum, value) => sum + value, 0);
    const before = this.#before;
    this.#before = { doubts, sent, received };
    if (received !== before.received || sent !== before.sent) this.#trafficAt = at;
    if (received === before.received) this.#quietSince ??= at;
    else {
      // Looks may be closer than packets: one without any is no pause.
      this.#steady = this.#isPause(at) ? 1 : this.#steady + 1;
      this.#quietSince = undefined;
    }
    return doubts !== before.doubts;
  }

  #isPause(at: Millis): boolean {
    return this.#quietSince !== undefined && at - this.#quietSince >= QUIET_MIN;
  }

  /** What came in all the time does not any more. */
  get #isStopping(): boolean {
    return this.#quietSince !== undefined && this.#steady >= STEADY;
  }

  #look(at: Millis, isQuiet: boolean): void {
    const { engine, handleAll, now } = this.#options;
    this.#sweptAt = at;
    this.#seen = engine.watchedCount;
    const readings = this.#reader.read(engine.watched(LOOK_MAX));
    handleAll(readings.map((reading) => ({ type: "connection.measured", isQuiet, ...reading })));
    const ended = now();
    this.#doubtSince = engine.isInDoubt ? (this.#doubtSince ?? at) : undefined;
    const isNew = this.#doubtSince !== undefined && ended - this.#doubtSince < AT_FIRST;
    this.#restUntil = ended + (isNew ? REST_AT_FIRST : REST) * (ended - at);
  }
}
