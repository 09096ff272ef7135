import type { ConnectionEstablished, Engine, EngineEvent, Particular } from "../engine/index.ts";
import {
  type AnswerCounts,
  type MptcpPm,
  type NetlinkSubscription,
  PreparedAnswers,
  type SentRequest,
} from "../netlink/index.ts";
import type { Millis, Side, Token } from "../types/index.ts";
import {
  closedLike,
  createdLike,
  decodeEvent,
  type EstablishedPattern,
  eachMessage,
  establishedPattern,
  type MessageHeader,
  NLMSG_HEADER,
  narrowed,
  readU32,
} from "../wire/index.ts";
import type { Ahead } from "./ahead.ts";
import { netlinkRequest } from "./kernel-port.ts";
import { Samples } from "./samples.ts";
import { translate } from "./translate.ts";

/** What went out for a connection. */
export interface ConnectionAhead {
  readonly token: Token;
  readonly requests: readonly SentRequest[];
}

/** Slots in use lie together, because the addon goes through them: one for all ends, then two for each sample. */
const END_SLOT = 0;
const answerSlot = (sample: number): number => 1 + 2 * sample;
const holdSlot = (sample: number): number => 2 + 2 * sample;

/** At most one sample in this time: learning must not cost much, whatever peers do. */
const LEARNING_PACE: Millis = 10;

/** What whoever began the connection chose by chance: nothing that comes again can be expected to have it. */
const BY_CHANCE = { client: "local port", server: "remote port" } as const satisfies Record<Side, Particular>;

/**
 * Knows beforehand what a connection will get. Policies are pure, so what the engine asks for when a connection is established
 * follows from its local address and the tables: it is worked out once for each local address, and for each port or peer where rules or the
 * policy go by those, and left with the socket, where it goes out before JavaScript wakes. The engine hears of everything afterwards and
 * comes to the same.
 */
export class Foresight implements Ahead<ConnectionAhead> {
  readonly #engine: Engine;
  readonly #pm: MptcpPm;
  readonly #subscription: NetlinkSubscription;
  readonly #answers: PreparedAnswers<EstablishedPattern>;
  readonly #samples = new Samples();
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
    if (!this.#samples.isEmpty) this.#renewal ??= setImmediate(() => this.#renew());
  }

  #learn({ from, to }: MessageHeader): void {
    const now = performance.now();
    const message = this.#subscription.bytes.slice(from - NLMSG_HEADER, to);
    if (this.#samples.has(message) || now < this.#learnAgain) return;
    const pattern = establishedPattern(message);
    if (!pattern) return;
    this.#learnAgain = now + LEARNING_PACE;
    this.#add(pattern);
  }

  #renew(): void {
    this.#renewal = undefined;
    // What was alike may differ now, and the other way round.
    for (const { message } of this.#samples.clear()) {
      const pattern = this.#samples.has(message) ? undefined : establishedPattern(message);
      if (pattern) this.#add(pattern);
    }
  }

  #add(pattern: EstablishedPattern): void {
    const event = establishmentOf(pattern.message);
    if (!event) return;
    const fixed = new Set<Particular>(this.#engine.foresee(event).because);
    // What nothing can be prepared for is remembered too, so that it is not thought over each time.
    fixed.delete(BY_CHANCE[event.side]);
    const sample = narrowed(pattern, fixed);
    const place = this.#samples.add(sample);
    if (place !== undefined) this.#prepare(place, sample, fixed);
  }

  #prepare(place: number, sample: EstablishedPattern, fixed: ReadonlySet<Particular>): void {
    const { message, token, varying } = sample;
    const isPrepared = this.#answers.prepare(answerSlot(place), {
      sample: message,
      varying,
      meaning: sample,
      answer: (variation) => {
        const event = establishmentOf(variation);
        const foreseen = event && this.#engine.foresee(event);
        if (!foreseen || [...foreseen.because].some((what) => !fixed.has(what))) return undefined;
        const requests = foreseen.actions.map((action) => netlinkRequest(this.#pm, action));
        return requests.every((request) => request !== undefined) ? requests : undefined;
      },
    });
    if (!isPrepared) return this.#answers.free(holdSlot(place));
    // Nothing follows from the creation or the end of a connection, and JavaScript that is busy with them delays the establishment.
    this.#answers.hold(holdSlot(place), createdLike(sample), varying);
    this.#answers.hold(END_SLOT, closedLike(sample), [token]);
  }
}

function establishmentOf(message: Uint8Array): ConnectionEstablished | undefined {
  let event: EngineEvent | undefined;
  eachMessage(message, 0, message.length, (header) => {
    event = translate(decodeEvent(message, header));
  });
  return event?.type === "connection.established" ? event : undefined;
}
