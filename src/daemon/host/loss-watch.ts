import { type HostEngine, LossMeter, type PathLosses } from "../../host/index.ts";
import { LossReader, NetstatReader } from "../../netlink/index.ts";
import type { Millis } from "../../types/index.ts";
import { Turns } from "../tuning/turns.ts";

/** What TCP counts when it sends a segment again. */
const RESENT = ["TCPFastRetrans", "TCPTimeouts", "TCPLossProbes", "TCPLostRetransmit", "TCPSlowStartRetrans"] as const;
/** Grows with what is sent, without what is sent again. */
const SENT = "TCPOrigDataSent";

/** From one look at the counters to the next, while data flow and while none do. */
const PACE = { traffic: 500, quiet: 2000 } as const satisfies Record<string, Millis>;
/** What was counted fades so much at each look: a doubt is about the last seconds. */
const FADES = 0.8;
/** So many segments sent again, and so large a share of all, are a doubt, */
const DOUBT = { segments: 3, share: 0.02 } as const;
/** which lasts so long. */
const DOUBT_LASTS: Millis = 5000;
/** After a look at the connections, so many times as long as it took there is none: all are dumped. */
const REST = 50;

export interface LossWatchOptions {
  readonly wants: () => HostEngine["wantsLosses"];
  readonly onLosses: (paths: readonly PathLosses[]) => void;
  readonly now: () => Millis;
}

/**
 * Notices that paths lose packets, for whom nobody tells: the counters of the namespace are read, and only while they say that much is sent
 * again the connections are. Not at all where there is one path only.
 */
export class LossWatch implements Disposable {
  readonly #options: LossWatchOptions;
  readonly #counters = new NetstatReader([SENT, ...RESENT]);
  readonly #reader = new LossReader();
  readonly #meter = new LossMeter();
  readonly #turns = new Turns(() => this.#turn(), PACE.quiet);
  #before: { readonly sent: number; readonly resent: number } | undefined;
  /** Segments of the last seconds. */
  #sent = 0;
  #resent = 0;
  #doubtUntil: Millis = Number.NEGATIVE_INFINITY;
  #lookAt: Millis = Number.NEGATIVE_INFINITY;

  constructor(options: LossWatchOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    this.#turns[Symbol.dispose]();
    this.#counters[Symbol.dispose]();
    this.#reader[Symbol.dispose]();
  }

  /** To be called when there may be a choice of paths. */
  wake(): void {
    if (!this.#turns.isRunning && this.#options.wants() !== "never") this.#turns.begin(PACE.traffic);
  }

  /** @returns when the next is due; undefined: there is nothing to choose */
  #turn(): Millis | undefined {
    const { wants, now } = this.#options;
    const wanted = wants();
    if (wanted === "never") {
      this.#before = undefined;
      this.#meter.forget();
      return undefined;
    }
    const at = now();
    const hasTraffic = this.#count(at);
    if (wanted === "always") this.#doubtUntil = at + DOUBT_LASTS;
    if (at < this.#doubtUntil) this.#look(at);
    else this.#meter.forget();
    return hasTraffic ? PACE.traffic : PACE.quiet;
  }

  /** @returns whether anything was sent */
  #count(at: Millis): boolean {
    const [sent = 0, ...counts] = this.#counters.read();
    const resent = counts.reduce((sum, value) => sum + value, 0);
    const before = this.#before ?? { sent, resent };
    this.#before = { sent, resent };
    this.#sent = FADES * this.#sent + sent - before.sent;
    this.#resent = FADES * this.#resent + resent - before.resent;
    if (this.#resent >= DOUBT.segments && this.#resent >= DOUBT.share * this.#sent) this.#doubtUntil = at + DOUBT_LASTS;
    return sent !== before.sent || resent !== before.resent;
  }

  #look(at: Millis): void {
    if (at < this.#lookAt) return;
    const { onLosses, now } = this.#options;
    const paths = this.#meter.look(this.#reader.read(), at);
    const ended = now();
    this.#lookAt = ended + REST * (ended - at);
    if (paths.length > 0) onLosses(paths);
  }
}
