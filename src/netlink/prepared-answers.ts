import { ERRNO } from "../types/index.ts";
import {
  decodeAcknowledgement,
  eachMessage,
  type MessagePart,
  NLM_F,
  NLMSG,
  NLMSG_HEADER,
  readU16,
  readU16be,
  readU32,
  Writer,
} from "../wire/index.ts";
import { encodeRequests, NETLINK, type Request, refusal } from "./client.ts";
import { NetlinkError } from "./errors.ts";
import { ANSWER, COPY, type Fd, loadNative, type NativeAddon } from "./native.ts";
import { checkNetns, withNetns } from "./netns.ts";
import type { GivenAnswer, NetlinkSubscription, Pattern, Range } from "./subscription.ts";

/** A message that is expected to come again, and what is to be asked of the kernel then. */
export interface Expectation<T> {
  /** The whole message as it came once. */
  readonly sample: Uint8Array;
  /**
   * What may be otherwise the next time, besides sequence and port number of nlmsghdr: words of 4 bytes, or 2 bytes in network
   * order (which answers have in host order).
   */
  readonly varying: readonly MessagePart[];
  /** The requests that such a message leads to; undefined: more than requests. Called with variations of the sample. */
  readonly answer: (message: Uint8Array) => readonly Request[] | undefined;
  /**
   * Where nothing varies that answers copy: a word of the message that the answer has too, and at the same place whatever takes back what
   * the message says. A batch in which it comes again is left to JavaScript.
   */
  readonly anchor?: MessagePart;
  /** Only the next one is answered. */
  readonly once?: boolean;
  /** Comes back with {@link Given}. */
  readonly meaning: T;
}

/** An answer that went out. */
export interface Given<T> {
  readonly meaning: T;
  /** The message that was answered begins here in the subscription's bytes. */
  readonly from: number;
  readonly requests: readonly SentRequest[];
}

/** Of {@link PreparedAnswers}. */
export interface AnswerCounts {
  readonly answered: number;
  readonly sent: number;
  readonly refused: number;
}

/** A request that went out, and how the kernel took it. */
export interface SentRequest {
  /** Behind nlmsghdr. */
  readonly body: Uint8Array;
  readonly error: NetlinkError | undefined;
}

interface Prepared<T> {
  readonly requests: readonly Request[];
  readonly meaning: T;
}

const WORD = 4;
/** Sequence and port number of nlmsghdr. */
const ALWAYS_VARYING: MessagePart = { at: 8, length: 8 };
/** Two values for each byte of what varies, so that no two words of one message are alike. */
const VARIATIONS = [0x21, 0xa1] as const;
const SEQUENCE_AT = 8;
/** The addon wants at least one number; three make a copy. */
const NO_COPIES = new Int32Array(1);
const NO_BYTES = new Uint8Array(0);

/**
 * Requests that leave before JavaScript hears of the message they answer: decided here beforehand, sent by the addon (see
 * native/answer.c) and numbered by it, so that each finds its acknowledgement.
 */
export class PreparedAnswers<T> implements Disposable {
  readonly #native: NativeAddon = loadNative();
  readonly #subscription: NetlinkSubscription;
  readonly #fd: Fd;
  /** By id; ids are never used again. */
  readonly #prepared = new Map<number, Prepared<T>>();
  readonly #idOfSlot = new Map<number, number>();
  /** What was withdrawn may have gone out just before: it is forgotten when the thread has told of that. */
  #withdrawn: { readonly id: number; readonly take: number }[] = [];
  #lastId = 0;
  #answered = 0;
  #sent = 0;
  #refused = 0;

  /** @param protocol of the requests, which go to the subscription's namespace */
  constructor(subscription: NetlinkSubscription, protocol: number = NETLINK.GENERIC, netns?: string) {
    this.#subscription = subscription;
    this.#fd = withNetns(netns, (netnsFd) =>
      checkNetns(this.#native.openNetlink(protocol, netnsFd, 0), "cannot open a netlink socket", netns),
    );
  }

  /** Messages that were answered, requests that went out for them, and those of the requests that the kernel refused. */
  get counts(): AnswerCounts {
    return { answered: this.#answered, sent: this.#sent, refused: this.#refused };
  }

  [Symbol.dispose](): void {
    this.withdraw();
    this.#native.close(this.#fd);
  }

  /** From now on the expected message is answered at once. False: it cannot be; the slot is free. */
  prepare(slot: number, { sample, varying, answer, anchor, once = false, meaning }: Expectation<T>): boolean {
    this.free(slot);
    const all = [ALWAYS_VARYING, ...varying];
    const [first, second] = VARIATIONS.map((value) => vary(sample, all, value)) as [Uint8Array, Uint8Array];
    const requests = answer(first);
    const others = answer(second);
    if (!requests?.length || others?.length !== requests.length) return false;
    const encoded = encode(requests);
    const copies = copiesBetween([first, second], [encoded, encode(others)], varying);
    if (!copies) return false;
    if (copies.length === 0 && anchor) copies.push(...anchored(sample, encoded, anchor));
    // Without a copy the batch could not be searched for a follower.
    if (copies.length === 0) return false;
    return this.#put(slot, { pattern: first, mask: maskOf(sample, all) }, { requests, meaning }, copies, once);
  }

  /** Messages like this one need no answer: they are told of together with the next other one. */
  hold(slot: number, sample: Uint8Array, varying: readonly MessagePart[]): void {
    this.#putEmpty(slot, { pattern: sample, mask: maskOf(sample, [ALWAYS_VARYING, ...varying]) }, 0);
  }

  free(slot: number): void {
    this.#subscription.withdraw(slot);
    this.#retire(slot);
  }

  /** Answers and holds nothing any more: when this returns, nothing goes out. */
  withdraw(): void {
    this.#subscription.withdraw();
    for (const slot of [...this.#idOfSlot.keys()]) this.#retire(slot);
  }

  /** What was answered of the batch at hand; to be called in the subscription's callbacks, once a batch. */
  given(): readonly Given<T>[] {
    const given = this.#subscription.given().flatMap((each) => this.#givenOf(each));
    this.#forget();
    return given;
  }

  #put(slot: number, pattern: Pattern, prepared: Prepared<T>, copies: readonly number[], once: boolean): boolean {
    const id = ++this.#lastId;
    const answer = encode(prepared.requests);
    const flags = once ? ANSWER.ONCE : 0;
    const all = Int32Array.from([...copies, ...numberCopies(answer)]);
    if (!this.#subscription.prepare(slot, this.#fd, { ...pattern, answer, copies: all, id, flags })) return false;
    this.#prepared.set(id, prepared);
    this.#idOfSlot.set(slot, id);
    return true;
  }

  #putEmpty(slot: number, pattern: Pattern, flags: number): void {
    this.#retire(slot);
    this.#subscription.prepare(slot, this.#fd, { ...pattern, answer: NO_BYTES, copies: NO_COPIES, id: 0, flags });
  }

  #retire(slot: number): void {
    const id = this.#idOfSlot.get(slot);
    if (id === undefined) return;
    this.#idOfSlot.delete(slot);
    this.#withdrawn.push({ id, take: this.#subscription.takes });
  }

  /** What went out before it was withdrawn was at hand then, or was taken the next time. */
  #forget(): void {
    if (this.#withdrawn.length === 0) return;
    const { takes } = this.#subscription;
    const isTold = ({ take }: { readonly take: number }): boolean => take + 1 < takes;
    for (const { id } of this.#withdrawn.filter(isTold)) this.#prepared.delete(id);
    this.#withdrawn = this.#withdrawn.filter((each) => !isTold(each));
  }

  #givenOf({ id, datagram, answer, replies }: GivenAnswer): Given<T>[] {
    const prepared = this.#prepared.get(id);
    if (!prepared) return [];
    this.#answered++;
    const requests: SentRequest[] = [];
    const { bytes } = this.#subscription;
    eachMessage(bytes, answer.from, answer.to, ({ from, to, sequence }) => {
      const error = this.#outcome(prepared.requests[requests.length], sequence, replies);
      requests.push({ body: bytes.slice(from, to), error });
      this.#sent++;
      if (error) this.#refused++;
    });
    return [{ meaning: prepared.meaning, from: datagram.from, requests }];
  }

  /** undefined: the kernel did it. An acknowledgement with another number is another's. */
  #outcome(request: Request | undefined, sequence: number, replies: readonly Range[]): NetlinkError | undefined {
    const { bytes } = this.#subscription;
    let outcome: { readonly error: NetlinkError | undefined } | undefined;
    for (const { from, to } of replies) {
      eachMessage(bytes, from, to, (header) => {
        if (header.sequence !== sequence || header.type !== NLMSG.ERROR) return;
        const acknowledgement = decodeAcknowledgement(bytes, header);
        outcome = { error: acknowledgement.errno && request ? refusal(request, acknowledgement) : undefined };
      });
    }
    return outcome ? outcome.error : new NetlinkError(request?.operation ?? "request", { errno: ERRNO.EIO });
  }
}

/** Each message of an answer gets a number of its own when it goes out. */
function numberCopies(answer: Uint8Array): number[] {
  const copies: number[] = [];
  eachMessage(answer, 0, answer.length, ({ from }) => {
    copies.push(0, from - NLMSG_HEADER + SEQUENCE_AT, COPY.RUNNING_NUMBER);
  });
  return copies;
}

function encode(requests: readonly Request[]): Uint8Array {
  const writer = new Writer();
  encodeRequests(writer, requests, NLM_F.ACK, 1);
  return writer.bytes.slice(0, writer.length);
}

/** The sample with other values in what varies. */
function vary(sample: Uint8Array, varying: readonly MessagePart[], value: number): Uint8Array {
  const message = sample.slice();
  let next = value;
  for (const { at, length } of varying) for (let byte = at; byte < at + length; byte++) message[byte] = next++;
  return message;
}

function maskOf(sample: Uint8Array, varying: readonly MessagePart[]): Uint8Array {
  const mask = new Uint8Array(sample.length).fill(0xff);
  for (const { at, length } of varying) mask.fill(0, at, at + length);
  return mask;
}

/**
 * The words in which the answers to two variations differ, and the varying part of the message that each is a copy of, as the
 * addon wants them. undefined: they differ in what is no copy, so an answer depends on more than the message's fixed parts.
 */
function copiesBetween(messages: Pair, answers: Pair, varying: readonly MessagePart[]): number[] | undefined {
  if (answers[0].length !== answers[1].length) return undefined;
  const copies: number[] = [];
  for (let at = 0; at < answers[0].length; at += WORD) {
    if (readU32(answers[0], at) === readU32(answers[1], at)) continue;
    const copy = originOf(at, messages, answers, varying);
    if (!copy) return undefined;
    copies.push(...copy);
  }
  return copies;
}

/** The first word of the answer that is the message's: to copy it changes nothing. */
function anchored(message: Uint8Array, answer: Uint8Array, { at: from }: MessagePart): readonly number[] {
  const word = readU32(message, from);
  for (let at = NLMSG_HEADER; at + WORD <= answer.length; at += WORD)
    if (readU32(answer, at) === word) return [from, at, COPY.WORD];
  return [];
}

type Pair = readonly [Uint8Array, Uint8Array];

/** [place in the message, place in the answer, what kind of copy]. */
function originOf(at: number, messages: Pair, answers: Pair, varying: readonly MessagePart[]): number[] | undefined {
  const inBoth = (isCopy: (message: Uint8Array, answer: Uint8Array) => boolean): boolean =>
    isCopy(messages[0], answers[0]) && isCopy(messages[1], answers[1]);
  for (const part of varying) {
    if (part.length === 2 && inBoth((message, answer) => readU16be(message, part.at) === readU16(answer, at))) {
      return [part.at, at, COPY.SWAPPED];
    }
    for (let from = part.at; from + WORD <= part.at + part.length; from += WORD) {
      if (inBoth((message, answer) => readU32(message, from) === readU32(answer, at))) return [from, at, COPY.WORD];
    }
  }
  return undefined;
}
