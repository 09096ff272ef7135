import type { Action, Engine, EngineEvent } from "../engine/index.ts";
import {
  type AnswerCounts,
  type MptcpPm,
  type NetlinkSubscription,
  PreparedAnswers,
  type SentRequest,
} from "../netlink/index.ts";
import type { Millis, Token } from "../types/index.ts";
import {
  closedLike,
  createdLike,
  decodeEvent,
  type EstablishedPattern,
  eachMessage,
  establishedPattern,
  type MessageHeader,
  NLMSG_HEADER,
  readU32,
} from "../wire/index.ts";
import type { Ahead } from "./ahead.ts";
import { netlinkRequest } from "./kernel-port.ts";
import { translate } from "./translate.ts";

/** What went out for a connection. */
export interface ConnectionAhead {
  readonly token: Token;
  readonly requests: readonly SentRequest[];
}

const SAMPLES_MAX = 32;
/** Slots in use lie together, because the addon goes through them: one for all ends, then two for each sample. */
const END_SLOT = 0;
const answerSlot = (sample: number): number => 1 + 2 * sample;
const holdSlot = (sample: number): number => 2 + 2 * sample;

/** At most one sample in this time: learning must not cost much, whatever peers do. */
const LEARNING_PACE: Millis = 10;

/**
 * Knows beforehand what a connection will get. Policies are pure, so what the engine asks for when a connection is established
 * follows from its local address and the tables: it is worked out once for each local address and left with the socket, where it
 * goes out before JavaScript wakes. The engine hears of everything afterwards and comes to the same.
 */
export class Foresight implements Ahead<ConnectionAhead> {
  readonly #engine: Engine;
  readonly #pm: MptcpPm;
  readonly #subscription: NetlinkSubscription;
  readonly #answers: PreparedAnswers<EstablishedPattern>;
  readonly #samples: EstablishedPattern[] = [];
  #next = 0;
  #learnAgain: Millis = 0;
  #revision = -1;
  #renewal: NodeJS.Immediate | undefined;

  constructor(options: {
    readonly engine: Engine;
    readonly pm: MptcpPm;
    readonly subscription: NetlinkSubscription;
  }) {
    this.#engine = options.engine;
    this.#pm = options.pm;
    this.#subscription = options.subscription;
    this.#answers = new PreparedAnswers(options.subscription);
  }

  get counts(): AnswerCounts {
    return this.#answers.counts;
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#renewal);
    this.#answers[Symbol.dispose]();
  }

  given(): readonly ConnectionAhead[] {
    return this.#answers.given().map(({ meaning, from, requests }) => {
      const token = readU32(this.#subscription.bytes, from + meaning.token.at) as Token;
      return { token, requests };
    });
  }

  withdraw(): void {
    this.#answers.withdraw();
  }

  /** The batch has been dealt with: now there is time to prepare for the next that is like this establishment of it. */
  end(established: MessageHeader | undefined): void {
    if (established) this.#learn(established);
    this.check();
  }

  /**
   * To be called before the engine may change its mind, so that nothing goes out of the mind it had, and what did has been heard of
   * when this returns. {@link check} follows.
   */
  pause(): void {
    this.#answers.withdraw();
    this.#subscription.release();
    this.#revision = -1;
  }

  /** The engine may have changed its mind: what was foreseen then is withdrawn at once, and thought over. */
  check(): void {
    if (this.#engine.revision === this.#revision) return;
    this.#revision = this.#engine.revision;
    this.#answers.withdraw();
    if (this.#samples.length > 0) this.#renewal ??= setImmediate(() => this.#renew());
  }

  #learn({ from, to }: MessageHeader): void {
    const now = performance.now();
    if (now < this.#learnAgain) return;
    const sample = establishedPattern(this.#subscription.bytes.slice(from - NLMSG_HEADER, to));
    if (!sample || this.#samples.some(({ key }) => key === sample.key)) return;
    this.#learnAgain = now + LEARNING_PACE;
    this.#samples[this.#next] = sample;
    this.#prepare(this.#next, sample);
    this.#next = (this.#next + 1) % SAMPLES_MAX;
  }

  #renew(): void {
    this.#renewal = undefined;
    for (const [index, sample] of this.#samples.entries()) this.#prepare(index, sample);
  }

  #prepare(index: number, sample: EstablishedPattern): void {
    const { message, token, varying } = sample;
    const isPrepared = this.#answers.prepare(answerSlot(index), {
      sample: message,
      varying,
      meaning: sample,
      answer: (variation) => {
        const requests = this.#foresee(variation).map((action) => netlinkRequest(this.#pm, action));
        return requests.every((request) => request !== undefined) ? requests : undefined;
      },
    });
    if (!isPrepared) return this.#answers.free(holdSlot(index));
    // Nothing follows from the creation or the end of a connection, and JavaScript that is busy with them delays the establishment.
    this.#answers.hold(holdSlot(index), createdLike(sample), varying);
    this.#answers.hold(END_SLOT, closedLike(sample), [token]);
  }

  #foresee(message: Uint8Array): readonly Action[] {
    const event = eventOf(message);
    return event?.type === "connection.established" ? this.#engine.foresee(event) : [];
  }
}

function eventOf(message: Uint8Array): EngineEvent | undefined {
  let event: EngineEvent | undefined;
  eachMessage(message, 0, message.length, (header) => {
    event = translate(decodeEvent(message, header));
  });
  return event;
}
