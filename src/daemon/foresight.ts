import type { Action, Engine, EngineEvent } from "../engine/index.ts";
import { type MptcpPm, type NetlinkSubscription, PREPARED_MAX, PreparedAnswers } from "../netlink/index.ts";
import type { Millis, Token } from "../types/index.ts";
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
import { type Ahead, netlinkRequest } from "./kernel-port.ts";
import { translate } from "./translate.ts";

/** An establishment as it once came, and what is foreseen for the next one that is like it. */
interface Sample {
  /** The message without what varies. */
  readonly key: string;
  readonly message: Uint8Array;
  readonly tokenAt: number;
  readonly portAt: number;
  actions: readonly Action[];
}

/** Whoever connects to another host each time has no use for foresight: it must not cost much. */
const LEARNING_PACE: Millis = 10;

/**
 * Knows beforehand what a connection will get. Policies are pure, so what the engine asks for when a connection is established
 * follows from its addresses and the tables alone: it is worked out once for each pair of addresses and left with the socket,
 * where it goes out before JavaScript wakes. The engine hears of everything afterwards and comes to the same.
 */
export class Foresight implements Disposable {
  readonly #engine: Engine;
  readonly #pm: MptcpPm;
  readonly #subscription: NetlinkSubscription;
  readonly #answers: PreparedAnswers;
  readonly #onAhead: (token: Token, ahead: Ahead) => void;
  /** By slot. */
  readonly #samples: Sample[] = [];
  #nextSlot = 0;
  #learnAgain: Millis = 0;
  #revision = -1;
  #renewal: NodeJS.Immediate | undefined;

  constructor(options: {
    readonly engine: Engine;
    readonly pm: MptcpPm;
    readonly subscription: NetlinkSubscription;
    readonly onAhead: (token: Token, ahead: Ahead) => void;
  }) {
    this.#engine = options.engine;
    this.#pm = options.pm;
    this.#subscription = options.subscription;
    this.#onAhead = options.onAhead;
    this.#answers = new PreparedAnswers(options.subscription);
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#renewal);
    this.#answers[Symbol.dispose]();
  }

  /** Tells of what went out ahead of the batch at hand, before the engine hears of the batch. */
  begin(): void {
    for (const { slot, from, errors } of this.#answers.given()) {
      const sample = this.#samples[slot];
      if (!sample) continue;
      const token = readU32(this.#subscription.bytes, from + sample.tokenAt) as Token;
      this.#onAhead(token, { actions: sample.actions, errors });
    }
  }

  /** The batch has been dealt with: now there is time to prepare for the next that is like this establishment of it. */
  end(established: MessageHeader | undefined): void {
    if (established) this.#learn(established);
    this.check();
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
    this.#samples[this.#nextSlot] = sample;
    this.#prepare(this.#nextSlot, sample);
    this.#nextSlot = (this.#nextSlot + 1) % PREPARED_MAX;
  }

  #renew(): void {
    this.#renewal = undefined;
    for (const [slot, sample] of this.#samples.entries()) this.#prepare(slot, sample);
  }

  #prepare(slot: number, sample: Sample): void {
    const { message, tokenAt, portAt } = sample;
    this.#answers.prepare(slot, {
      sample: message,
      varying: [
        { at: tokenAt, length: 4 },
        { at: portAt, length: 2 },
      ],
      answer: (variation) => {
        sample.actions = this.#foresee(variation);
        const requests = sample.actions.map((action) => netlinkRequest(this.#pm, action));
        return requests.every((request) => request !== undefined) ? requests : undefined;
      },
    });
  }

  #foresee(message: Uint8Array): readonly Action[] {
    const event = eventOf(message);
    return event?.type === "connection.established" ? this.#engine.foresee(event) : [];
  }
}

/** undefined: the peer opened the connection; peers are too many, and what one gets is rarely a subflow. */
function sampleOf(message: Uint8Array): Sample | undefined {
  const at = (name: "token" | "sport"): number =>
    findAttribute(EVENT_ATTRIBUTE[name][0], message, NLMSG_HEADER + GENL_HEADER, message.length);
  const [tokenAt, portAt] = [at("token"), at("sport")];
  const event = eventOf(message);
  if (event?.type !== "connection.established" || event.side !== "client" || tokenAt < 0 || portAt < 0)
    return undefined;
  const fixed = message.slice();
  fixed.fill(0, 0, NLMSG_HEADER);
  fixed.fill(0, tokenAt, tokenAt + 4);
  fixed.fill(0, portAt, portAt + 2);
  return { key: Buffer.from(fixed).toString("latin1"), message, tokenAt, portAt, actions: [] };
}

function eventOf(message: Uint8Array): EngineEvent | undefined {
  let event: EngineEvent | undefined;
  eachMessage(message, 0, message.length, (header) => {
    event = translate(decodeEvent(message, header));
  });
  return event;
}
