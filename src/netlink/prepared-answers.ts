import { decodeAcknowledgement, eachMessage, NLM_F, readU32, Writer } from "../wire/index.ts";
import { encodeRequests, NETLINK, type Request, refusal } from "./client.ts";
import { NetlinkError } from "./errors.ts";
import { type Fd, loadNative, type NativeAddon } from "./native.ts";
import { checkNetns, withNetns } from "./netns.ts";
import type { NetlinkSubscription, PreparedAnswer } from "./subscription.ts";

/** How many answers can be prepared at a time (native/answer.h). */
export const PREPARED_MAX = 32;

/** A part of a message that may be otherwise the next time, in bytes from the message's beginning. */
export interface Varying {
  readonly at: number;
  /** Only parts of 4 bytes can find their way into the answer. */
  readonly length: number;
}

/** A message that is expected to come again, and what is to be asked of the kernel then. */
export interface Expectation {
  /** The whole message as it came once. */
  readonly sample: Uint8Array;
  /** Besides sequence and port number of nlmsghdr. */
  readonly varying: readonly Varying[];
  /** The requests that such a message leads to; undefined: more than requests. Called with variations of the sample. */
  readonly answer: (message: Uint8Array) => readonly Request[] | undefined;
}

/** An answer that went out. */
export interface Given {
  readonly slot: number;
  /** The message that was answered begins here in the subscription's bytes. */
  readonly from: number;
  /** For each request undefined, or how the kernel refused it. */
  readonly errors: readonly (NetlinkError | undefined)[];
}

const WORD = 4;
/** Sequence and port number of nlmsghdr. */
const ALWAYS_VARYING: Varying = { at: 8, length: 8 };
/** Two values for each byte of what varies, so that no two words of one message are alike. */
const VARIATIONS = [0x21, 0xa1] as const;
const SLOT_BYTES = 512;
const SLOTS = 64;
const EIO = 5;

/**
 * Requests that leave before JavaScript hears of the message they answer: decided here beforehand, sent by the addon (see
 * native/answer.c). Outcomes come afterwards, on a socket that carries nothing else.
 */
export class PreparedAnswers implements Disposable {
  readonly #native: NativeAddon = loadNative();
  readonly #subscription: NetlinkSubscription;
  readonly #fd: Fd;
  readonly #requests: (readonly Request[])[] = [];
  readonly #slab = new Uint8Array(SLOT_BYTES * SLOTS);
  readonly #lengths = new Int32Array(SLOTS);

  /** The requests are generic netlink ones, to the subscription's namespace. */
  constructor(subscription: NetlinkSubscription, netns?: string) {
    this.#subscription = subscription;
    this.#fd = withNetns(netns, (netnsFd) =>
      checkNetns(this.#native.openNetlink(NETLINK.GENERIC, netnsFd, 0), "cannot open a netlink socket", netns),
    );
  }

  [Symbol.dispose](): void {
    this.#subscription.withdraw();
    this.#native.close(this.#fd);
  }

  /** From now on the expected message is answered at once. False: it cannot be; the slot is free. */
  prepare(slot: number, { sample, varying, answer }: Expectation): boolean {
    this.#subscription.withdraw(slot);
    const all = [ALWAYS_VARYING, ...varying];
    const [first, second] = VARIATIONS.map((value) => vary(sample, all, value)) as [Uint8Array, Uint8Array];
    const requests = answer(first);
    const others = answer(second);
    if (!requests?.length || others?.length !== requests.length) return false;
    const bytes = encode(requests);
    const copies = copiesBetween([first, second], [bytes, encode(others)], varying);
    if (!copies) return false;
    const prepared: PreparedAnswer = { pattern: first, mask: maskOf(sample, all), answer: bytes, copies };
    this.#requests[slot] = requests;
    return this.#subscription.prepare(slot, this.#fd, prepared);
  }

  /** Answers nothing any more. */
  withdraw(): void {
    this.#subscription.withdraw();
  }

  /** What was answered of the batch at hand; to be called in the subscription's callbacks, once a batch. */
  given(): readonly Given[] {
    const given = this.#subscription.given();
    if (given.length === 0) return [];
    const errors = this.#outcomes(given.flatMap(({ slot }) => this.#requests[slot] ?? []));
    return given.map(({ slot, from }) => ({ slot, from, errors: errors.splice(0, this.#requests[slot]?.length) }));
  }

  /** The kernel acknowledged each request inside send(2), in order. */
  #outcomes(requests: readonly Request[]): (NetlinkError | undefined)[] {
    const errors: (NetlinkError | undefined)[] = [];
    while (errors.length < requests.length) {
      const count = this.#native.receive(this.#fd, this.#slab, this.#lengths, 0);
      if (count < 0) break;
      for (let slot = 0; slot < count; slot++) {
        const from = slot * SLOT_BYTES;
        eachMessage(this.#slab, from, from + Math.min(this.#lengths[slot]!, SLOT_BYTES), (header) => {
          const request = requests[errors.length];
          const acknowledgement = decodeAcknowledgement(this.#slab, header);
          errors.push(acknowledgement.errno && request ? refusal(request, acknowledgement) : undefined);
        });
      }
    }
    for (const { operation } of requests.slice(errors.length)) errors.push(new NetlinkError(operation, { errno: EIO }));
    return errors;
  }
}

function encode(requests: readonly Request[]): Uint8Array {
  const writer = new Writer();
  encodeRequests(writer, requests, NLM_F.ACK, 1);
  return writer.bytes.slice(0, writer.length);
}

/** The sample with other values in what varies. */
function vary(sample: Uint8Array, varying: readonly Varying[], value: number): Uint8Array {
  const message = sample.slice();
  let next = value;
  for (const { at, length } of varying) for (let byte = at; byte < at + length; byte++) message[byte] = next++;
  return message;
}

function maskOf(sample: Uint8Array, varying: readonly Varying[]): Uint8Array {
  const mask = new Uint8Array(sample.length).fill(0xff);
  for (const { at, length } of varying) mask.fill(0, at, at + length);
  return mask;
}

/**
 * The words in which the answers to two variations differ, and the varying word of the message that each is a copy of: pairs of
 * offsets. undefined: they differ in what is no copy, so an answer depends on more than the message's fixed parts.
 */
function copiesBetween(
  messages: readonly [Uint8Array, Uint8Array],
  answers: readonly [Uint8Array, Uint8Array],
  varying: readonly Varying[],
): Int32Array | undefined {
  if (answers[0].length !== answers[1].length) return undefined;
  const pairs: number[] = [];
  for (let at = 0; at < answers[0].length; at += WORD) {
    const words = answers.map((answer) => readU32(answer, at));
    if (words[0] === words[1]) continue;
    const origin = varying.find(
      (part) => part.length === WORD && messages.every((message, index) => readU32(message, part.at) === words[index]),
    );
    if (!origin) return undefined;
    pairs.push(origin.at, at);
  }
  // Without a copy an answer would be the same for every message, and the batch could not be searched for a follower.
  return pairs.length > 0 ? Int32Array.from(pairs) : undefined;
}
