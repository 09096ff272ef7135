import type { Action, Engine, EngineEvent } from "../engine/index.ts";
import { type MptcpPm, type NetlinkSubscription, PreparedAnswers, type Varying } from "../netlink/index.ts";
import { type Millis, MPTCP_EVENT, type Token } from "../types/index.ts";
import {
  decodeEvent,
  EVENT_ATTRIBUTE,
  eachMessage,
  findAttribute,
  GENL_HEADER,
  type MessageHeader,
  NLMSG_HEADER,
  readU32,
} from "../wire/index.ts";
import { netlinkRequest } from "./kernel-port.ts";
import type { SentAhead } from "./sent-ahead.ts";
import { translate } from "./translate.ts";

/** An establishment as it once came, and what is foreseen for the next one that is like it. */
interface Sample {
  /** The message without what varies. */
  readonly key: string;
  readonly message: Uint8Array;
  readonly token: Varying;
  readonly varying: readonly Varying[];
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
export class Foresight implements Disposable {
  readonly #engine: Engine;
  readonly #pm: MptcpPm;
  readonly #subscription: NetlinkSubscription;
  readonly #answers: PreparedAnswers<Sample>;
  readonly #ahead: SentAhead;
  readonly #samples: Sample[] = [];
  #next = 0;
  #learnAgain: Millis = 0;
  #revision = -1;
  #given = 0;
  #renewal: NodeJS.Immediate | undefined;

  constructor(options: {
    readonly engine: Engine;
    readonly pm: MptcpPm;
    readonly subscription: NetlinkSubscription;
    readonly ahead: SentAhead;
  }) {
    this.#engine = options.engine;
    this.#pm = options.pm;
    this.#subscription = options.subscription;
    this.#ahead = options.ahead;
    this.#answers = new PreparedAnswers(options.subscription);
  }

  /** How many connections were served ahead of their events. */
  get given(): number {
    return this.#given;
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#renewal);
    this.#answers[Symbol.dispose]();
  }

  /** Tells of what went out ahead of the batch at hand, before the engine hears of the batch. */
  begin(): void {
    for (const { meaning, from, requests } of this.#answers.given()) {
      const token = readU32(this.#subscription.bytes, from + meaning.token.at) as Token;
      this.#ahead.add(token, requests);
      this.#given++;
    }
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
    const sample = sampleOf(this.#subscription.bytes.slice(from - NLMSG_HEADER, to));
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

  #prepare(index: number, sample: Sample): void {
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
    this.#answers.hold(holdSlot(index), creationLike(sample), varying);
    this.#answers.hold(END_SLOT, endLike(sample), [token]);
  }

  #foresee(message: Uint8Array): readonly Action[] {
    const event = eventOf(message);
    return event?.type === "connection.established" ? this.#engine.foresee(event) : [];
  }
}

/** undefined: not an establishment, or without what one has. */
function sampleOf(message: Uint8Array): Sample | undefined {
  if (eventOf(message)?.type !== "connection.established") return undefined;
  const part = (name: keyof typeof EVENT_ATTRIBUTE, length: number): Varying[] => {
    const at = findAttribute(EVENT_ATTRIBUTE[name][0], message, NLMSG_HEADER + GENL_HEADER, message.length);
    return at < 0 ? [] : [{ at, length }];
  };
  const [token] = part("token", 4);
  if (!token) return undefined;
  const remote = [...part("daddr4", 4), ...part("daddr6", 16).map((whole) => varyingPartOf(message, whole))];
  const varying = [token, ...part("sport", 2), ...part("dport", 2), ...remote];
  const fixed = message.slice();
  fixed.fill(0, 0, NLMSG_HEADER);
  for (const { at, length } of varying) fixed.fill(0, at, at + length);
  return { key: Buffer.from(fixed).toString("latin1"), message, token, varying };
}

/** A v4-mapped address varies in its last word only: others are of another family. */
function varyingPartOf(message: Uint8Array, { at, length }: Varying): Varying {
  const prefix = length - 4;
  const isMapped = message.subarray(at, at + prefix).every((byte, index) => byte === (index < prefix - 2 ? 0 : 0xff));
  return isMapped ? { at: at + prefix, length: 4 } : { at, length };
}

/** CREATED has the attributes of ESTABLISHED. */
function creationLike({ message }: Sample): Uint8Array {
  const creation = message.slice();
  creation[NLMSG_HEADER] = MPTCP_EVENT.CREATED;
  return creation;
}

/** CLOSED has the token alone, which comes first in every event. */
function endLike({ message, token }: Sample): Uint8Array {
  const end = message.slice(0, token.at + token.length);
  end[0] = end.length;
  end[NLMSG_HEADER] = MPTCP_EVENT.CLOSED;
  return end;
}

function eventOf(message: Uint8Array): EngineEvent | undefined {
  let event: EngineEvent | undefined;
  eachMessage(message, 0, message.length, (header) => {
    event = translate(decodeEvent(message, header));
  });
  return event;
}
