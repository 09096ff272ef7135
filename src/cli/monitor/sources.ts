import { type Change, DaemonError, type WatchOptions } from "../../client/index.ts";
import { type Decision, type Millis, type MptcpEvent, SubflowError, type Token } from "../../types/index.ts";
import { type Teller, Twice } from "./twice.ts";

/** A daemon that has not said a word so soon after the start is not waited for. */
const FIRST_ANSWER: Millis = 2000;
/** It answers within five seconds, also where nothing happens: one that does not, on a machine that is busy, hangs. */
const SILENT: Millis = 8000;
/** Both are heard for so long when a daemon comes, and for so long it may still tell what the kernel has told here. */
const OVERLAP: Millis = 1000;
/** An answer that comes late by more says that the clock was set, or the machine slept; by less, that it took its time. */
const CLOCK_SET: Millis = 1000;

const FROM_KERNEL = "events are heard from the kernel, which accepts every join meanwhile";
const MAY_MISS = "; what happened just before may be missing";
const AGAIN = "a Subflow daemon answers: events are those that it tells";

/** A listener to the kernel's events. */
export interface KernelListener {
  close(): void;
}

/** What is wanted, whom it may be had from, and who is told. */
export interface SourcesOptions {
  readonly netns?: string | undefined;
  readonly token?: Token | undefined;
  readonly events: boolean;
  readonly decisions: boolean;
  readonly follow: (options: WatchOptions) => AsyncGenerator<Change, void, undefined>;
  /** @throws SubflowError where it may not listen, or cannot */
  readonly listen: (onEvent: (event: MptcpEvent) => void, onOverrun: () => void) => KernelListener;
  /** The time of the day, milliseconds since 1970. */
  readonly now: () => number;
  /** @param time of the day at which it happened */
  readonly onEvent: (event: MptcpEvent, time: number) => void;
  readonly onDecision: (decision: Decision, time: number) => void;
  /** So many happenings (at least) were too fast; undefined: nobody knows how many. */
  readonly onLost: (count: number | undefined) => void;
  /** Who is heard from here on, and what may be missing, in words. `isFirst`: so it begins. */
  readonly onSource: (text: string, isFirst: boolean) => void;
}

/**
 * Who tells what happens. The daemon, wherever one answers and shows everything: it hears the kernel anyway, and a second listener would be woken
 * beside it at each event, when the processor is needed for the answer. Else the kernel: where there is no daemon, where it shows only what is the
 * caller's own, where it hangs. When a daemon comes (back) it is heard again.
 */
export class Sources {
  readonly #options: SourcesOptions;
  readonly #twice = new Twice();
  /** Who is to be believed to tell everything; `nobody`: the daemon is gone, and the kernel may not be listened to. */
  #source: "unknown" | "nobody" | Teller = "unknown";
  #listener: KernelListener | undefined;
  /** The daemon of this moment is of use for decisions alone. */
  #isForDecisions = false;
  #isLimited = false;
  #silence: NodeJS.Timeout | undefined;
  /** The listener is to be closed, or was, and the daemon may repeat what it told. */
  #leaving: NodeJS.Timeout | undefined;
  /** From the daemon's clock to the time of the day. */
  #offset: number | undefined;

  constructor(options: SourcesOptions) {
    this.#options = options;
  }

  /** Until it is told to stop, or the kernel alone is heard from there on. @throws SubflowError where nobody can be heard at all */
  async run(signal: AbortSignal): Promise<void> {
    const { events, decisions } = this.#options;
    signal.addEventListener("abort", () => this.#close(), { once: true });
    const kinds = [...(events ? (["kernel"] as const) : []), ...(decisions ? (["decision"] as const) : [])];
    const refused = await this.#follow({ kinds, signal });
    if (!refused || !events || signal.aborted) return;
    clearTimeout(this.#silence);
    this.#toKernel(refused.message);
    // A daemon of an earlier version has decisions all the same.
    if (refused instanceof DaemonError && decisions) await this.#follow({ kinds: ["decision"], signal });
  }

  /** @returns why the daemon will tell nothing; undefined: it was told to stop */
  async #follow(options: WatchOptions): Promise<SubflowError | undefined> {
    const { netns, token, follow } = this.#options;
    const hasEvents = options.kinds?.includes("kernel") ?? false;
    const told = follow({ netns, token, ...options });
    try {
      for (let limit = FIRST_ANSWER; ; limit = SILENT) {
        if (hasEvents) this.#expect(limit);
        const next = await told.next().catch(refusal);
        if (next instanceof SubflowError) return next;
        if (next.done) return undefined;
        this.#take(next.value, hasEvents);
      }
    } finally {
      void told.return();
    }
  }

  #take(change: Change, hasEvents: boolean): void {
    switch (change.type) {
      case "connected":
        this.#isLimited = change.isLimited;
        this.#isForDecisions = !hasEvents || (change.isLimited && this.#listensBeside());
        return;
      case "complete":
        this.#keepTime(change.at);
        if (!this.#isForDecisions) this.#toDaemon();
        return;
      case "kernel":
        if (!this.#isForDecisions) this.#hear("daemon", change.told.event, this.#timeOf(change.told.at));
        return;
      case "decision":
        return this.#options.onDecision(change.decision, this.#timeOf(change.decision.at));
      case "lost":
        // Where the kernel is heard, too, it was told.
        return this.#listener ? undefined : this.#options.onLost(change.count);
      case "disconnected":
        return hasEvents ? this.#onDisconnected(change.error) : undefined;
      default:
    }
  }

  #hear(teller: Teller, event: MptcpEvent, time: number): void {
    const isAlone = this.#isForDecisions || (!this.#listener && !this.#leaving);
    if (isAlone || this.#twice.isNew(teller, event, performance.now())) this.#options.onEvent(event, time);
  }

  /** The next word of the daemon is waited for. */
  #expect(limit: Millis): void {
    clearTimeout(this.#silence);
    if (this.#source === "kernel") return;
    this.#silence = setTimeout(() => this.#toKernelIfAllowed("the Subflow daemon does not answer"), limit);
  }

  #onDisconnected({ message }: SubflowError): void {
    this.#offset = undefined;
    if (this.#source === "unknown") this.#toKernel(message);
    else this.#toKernelIfAllowed(message);
  }

  /** It answers, and tells everything. */
  #toDaemon(): void {
    if (this.#source === "daemon" || this.#leaving) return;
    if (this.#listener) this.#leaving = setTimeout(() => this.#leaveKernel(), OVERLAP);
    else this.#beDaemon();
  }

  #beDaemon(): void {
    const isFirst = this.#source === "unknown";
    this.#source = "daemon";
    if (this.#isLimited) this.#options.onSource("the daemon shows what is your own, and no more is heard", isFirst);
    else if (!isFirst) this.#options.onSource(AGAIN, isFirst);
  }

  /** What the kernel tells from here on the daemon tells, too, and what it told in the last moment perhaps once more. */
  #leaveKernel(): void {
    this.#stopListening();
    this.#beDaemon();
    this.#expect(SILENT);
    this.#twice.forget(performance.now() - OVERLAP);
    this.#leaving = setTimeout(() => this.#stopLeaving(), OVERLAP);
  }

  #stopLeaving(): void {
    clearTimeout(this.#leaving);
    this.#leaving = undefined;
  }

  /** @throws SubflowError where that may not be */
  #toKernel(why: string): void {
    this.#stopLeaving();
    if (this.#source === "kernel") return;
    const { onSource, onLost, listen, now } = this.#options;
    // From here on both are counted.
    this.#twice.clear();
    this.#listener = listen(
      (event) => this.#hear("kernel", event, now()),
      () => onLost(undefined),
    );
    const isFirst = this.#source === "unknown";
    this.#source = "kernel";
    onSource(`${why}: ${FROM_KERNEL}${isFirst ? "" : MAY_MISS}`, isFirst);
  }

  /** Where the kernel may not be listened to either, a daemon is waited for. */
  #toKernelIfAllowed(why: string): void {
    const refused = this.#tryKernel(why);
    if (!refused || this.#source === "nobody") return;
    const isFirst = this.#source === "unknown";
    this.#source = "nobody";
    this.#options.onSource(`${why}, and ${refused.message}: nothing is heard until a daemon answers`, isFirst);
  }

  #listensBeside(): boolean {
    return this.#tryKernel("the daemon shows only what is your own") === undefined;
  }

  #tryKernel(why: string): SubflowError | undefined {
    try {
      this.#toKernel(why);
      return undefined;
    } catch (error) {
      return refusal(error);
    }
  }

  /** An answer that took its time makes no later clock of it. */
  #keepTime(at: Millis): void {
    const offset = this.#options.now() - at;
    const known = this.#offset;
    if (known === undefined || offset < known || offset > known + CLOCK_SET) this.#offset = offset;
  }

  #timeOf(at: Millis): number {
    return this.#offset === undefined ? this.#options.now() : at + this.#offset;
  }

  #stopListening(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  #close(): void {
    clearTimeout(this.#silence);
    this.#stopLeaving();
    this.#stopListening();
  }
}

function refusal(error: unknown): SubflowError {
  if (error instanceof SubflowError) return error;
  throw error;
}
