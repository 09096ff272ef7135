import { decodeAcknowledgement, eachMessage, NLM_F, readU16, readU16be, readU32, Writer } from "../wire/index.ts";
import { encodeRequests, NETLINK, type Request, refusal } from "./client.ts";
import { NetlinkError } from "./errors.ts";
import { type Fd, loadNative, type NativeAddon } from "./native.ts";
import { checkNetns, withNetns } from "./netns.ts";
import { type NetlinkSubscription, NO_COPIES, type Pattern } from "./subscription.ts";

/**
 * A part of a message that may be otherwise the next time, in bytes from the message's beginning: words of 4 bytes, or 2 bytes in
 * network order (which answers have in host order).
 */
export interface Varying {
  readonly at: number;
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
  /** Only the next one is answered. */
  readonly once?: boolean;
}

/** An answer that went out. */
export interface Given {
  readonly slot: number;
  /** The message that was answered begins here in the subscription's bytes. */
  readonly from: number;
  readonly requests: readonly SentRequest[];
}

/** A request that went out, and how the kernel took it. */
export interface SentRequest {
  /** Behind nlmsghdr. */
  readonly body: Uint8Array;
  readonly error: NetlinkError | undefined;
}

interface Prepared {
  readonly requests: readonly Request[];
  readonly answer: Uint8Array;
  readonly copies: Int32Array;
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
  /** By slot. */
  readonly #prepared: Prepared[] = [];
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
  prepare(slot: number, { sample, varying, answer, once = false }: Expectation): boolean {
    this.#subscription.withdraw(slot);
    const all = [ALWAYS_VARYING, ...varying];
    const [first, second] = VARIATIONS.map((value) => vary(sample, all, value)) as [Uint8Array, Uint8Array];
    const requests = answer(first);
    const others = answer(second);
    if (!requests?.length || others?.length !== requests.length) return false;
    const encoded = encode(requests);
    const copies = copiesBetween([first, second], [encoded, encode(others)], varying);
    if (!copies) return false;
    this.#prepared[slot] = { requests, answer: encoded, copies };
    return this.#subscription.prepare(slot, this.#fd, {
      pattern: first,
      mask: maskOf(sample, all),
      answer: encoded,
      copies,
      once,
    });
  }

  /** From now on a message that begins like the pattern is answered at once with the same requests, whatever else it says. */
  prepareFixed(slot: number, pattern: Pattern, requests: readonly Request[]): boolean {
    const answer = encode(requests);
    this.#prepared[slot] = { requests, answer, copies: NO_COPIES };
    return this.#subscription.prepare(slot, this.#fd, { ...pattern, answer, copies: NO_COPIES });
  }

  /** Messages like this one need no answer: they are told of together with the next other one. */
  hold(slot: number, sample: Uint8Array, varying: readonly Varying[]): void {
    this.#subscription.hold(slot, { pattern: sample, mask: maskOf(sample, [ALWAYS_VARYING, ...varying]) });
  }

  free(slot: number): void {
    this.#subscription.withdraw(slot);
  }

  /** Answers and holds nothing any more. */
  withdraw(): void {
    this.#subscription.withdraw();
  }

  /** Withdraws everything, and does not ask how the kernel took what was sent. */
  forget(): void {
    this.withdraw();
    while (this.#native.receive(this.#fd, this.#slab, this.#lengths, 0) > 0);
  }

  /** What was answered of the batch at hand; to be called in the subscription's callbacks, once a batch. */
  given(): readonly Given[] {
    const given = this.#subscription.given();
    if (given.length === 0) return [];
    const errors = this.#outcomes(given.flatMap(({ slot }) => this.#prepared[slot]?.requests ?? []));
    return given.map(({ slot, from }) => {
      const prepared = this.#prepared[slot];
      const bodies = prepared ? this.#bodies(prepared, from) : [];
      return { slot, from, requests: bodies.map((body) => ({ body, error: errors.shift() })) };
    });
  }

  /** What the addon sent: the answer with its copies from the message that begins at `from`. */
  #bodies({ answer, copies }: Prepared, from: number): Uint8Array[] {
    const sent = answer.slice();
    const { bytes } = this.#subscription;
    for (let copy = 0; copy + 3 <= copies.length; copy += 3) {
      const [origin, at, swapped] = [from + copies[copy]!, copies[copy + 1]!, copies[copy + 2]! !== 0];
      if (swapped) sent.set([bytes[origin + 1]!, bytes[origin]!], at);
      else sent.set(bytes.subarray(origin, origin + WORD), at);
    }
    const bodies: Uint8Array[] = [];
    eachMessage(sent, 0, sent.length, (header) => bodies.push(sent.subarray(header.from, header.to)));
    return bodies;
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
 * The words in which the answers to two variations differ, and the varying part of the message that each is a copy of, as the
 * addon wants them. undefined: they differ in what is no copy, so an answer depends on more than the message's fixed parts.
 */
function copiesBetween(messages: Pair, answers: Pair, varying: readonly Varying[]): Int32Array | undefined {
  if (answers[0].length !== answers[1].length) return undefined;
  const copies: number[] = [];
  for (let at = 0; at < answers[0].length; at += WORD) {
    if (readU32(answers[0], at) === readU32(answers[1], at)) continue;
    const copy = originOf(at, messages, answers, varying);
    if (!copy) return undefined;
    copies.push(...copy);
  }
  // Without a copy an answer would be the same for every message, and the batch could not be searched for a follower.
  return copies.length > 0 ? Int32Array.from(copies) : undefined;
}

type Pair = readonly [Uint8Array, Uint8Array];

/** [place in the message, place in the answer, swapped]. */
function originOf(at: number, messages: Pair, answers: Pair, varying: readonly Varying[]): number[] | undefined {
  const inBoth = (isCopy: (message: Uint8Array, answer: Uint8Array) => boolean): boolean =>
    isCopy(messages[0], answers[0]) && isCopy(messages[1], answers[1]);
  for (const part of varying) {
    if (part.length === 2 && inBoth((message, answer) => readU16be(message, part.at) === readU16(answer, at))) {
      return [part.at, at, 1];
    }
    for (let from = part.at; from + WORD <= part.at + part.length; from += WORD) {
      if (inBoth((message, answer) => readU32(message, from) === readU32(answer, at))) return [from, at, 0];
    }
  }
  return undefined;
}
