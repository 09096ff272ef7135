import { CodecError, eachMessage, type MessageHeader, NLMSG, readU32 } from "../wire/index.ts";
import { NetlinkError } from "./errors.ts";
import { loadNative, type NativeAddon, RECORD, type WatchHandle } from "./native.ts";
import { checkNetns, withNetns } from "./netns.ts";

/** Options of {@link NetlinkSubscription}. */
export interface SubscriptionOptions {
  readonly netns?: string | undefined;
  /** Bytes of kernel memory for events that wait; about 830 go to one MPTCP event. SO_RCVBUFFORCE where allowed. */
  readonly receiveBuffer?: number;
  /** Called for each message. */
  readonly onMessage: (bytes: Uint8Array, header: MessageHeader) => void;
  /** Messages were lost, or one cannot be decoded: what is known must be read anew. Later messages arrive as before. */
  readonly onOverrun: () => void;
  /** The thread that receives and answers never sleeps: it answers some microseconds sooner, and takes a processor for itself. */
  readonly spin?: boolean | undefined;
  /** Called after the last message of each wake-up. */
  readonly onBatchEnd?: () => void;
}

/** Bytes that are looked for, where the mask has ones. */
export interface Pattern {
  readonly pattern: Uint8Array;
  readonly mask: Uint8Array;
}

/** Bytes that are answered by the addon itself, see {@link NativeAddon.prepare}. */
export interface PreparedAnswer extends Pattern {
  readonly answer: Uint8Array;
  readonly copies: Int32Array;
  readonly id: number;
  readonly flags: number;
}

/** Bytes of {@link NetlinkSubscription.bytes}. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** A datagram of the batch at hand that was answered. */
export interface GivenAnswer {
  readonly id: number;
  readonly datagram: Range;
  /** What was sent. */
  readonly answer: Range;
  /** What came back. */
  readonly replies: readonly Range[];
}

/** 16 MiB hold some 20,000 MPTCP events: four seconds of 5,000 connections a second. */
const RECEIVE_BUFFER = 16 << 20;
/** Two halves, each with room for a thousand events and more. */
const SLAB_BYTES = 1 << 20;

/** Multicast messages of one netlink protocol in one network namespace. Keeps the event loop alive until closed. */
export class NetlinkSubscription implements Disposable {
  readonly #native: NativeAddon;
  readonly #fd: number;
  readonly #watch: WatchHandle;
  readonly #slab = new Uint8Array(SLAB_BYTES);
  readonly #options: SubscriptionOptions;
  #given: { -readonly [Key in keyof GivenAnswer]: Key extends "replies" ? Range[] : GivenAnswer[Key] }[] = [];
  #takes = 0;
  /** Of the batch at hand: a message was told of; one could not be. */
  #heard = false;
  #lost = false;
  #closed = false;

  /** @param groups multicast group numbers */
  constructor(protocol: number, groups: readonly number[], options: SubscriptionOptions) {
    this.#options = options;
    this.#native = loadNative();
    const native = this.#native;
    this.#fd = withNetns(options.netns, (netns) =>
      checkNetns(
        native.openNetlink(protocol, netns, options.receiveBuffer ?? RECEIVE_BUFFER),
        "cannot open a netlink socket",
        options.netns,
      ),
    );
    for (const group of groups) {
      const result = native.joinGroup(this.#fd, group);
      if (result < 0) {
        native.close(this.#fd);
        throw new NetlinkError("subscribe", { errno: -result });
      }
    }
    const onRecords = (from: number, to: number): void => this.#onRecords(from, to);
    const watch = native.watch(this.#fd, this.#slab, onRecords, options.spin ? 1 : 0);
    if (typeof watch === "number") {
      native.close(this.#fd);
      throw new NetlinkError("subscribe", { errno: -watch });
    }
    this.#watch = watch;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#native.unwatch(this.#watch);
    this.#native.close(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The batch at hand. */
  get bytes(): Uint8Array {
    return this.#slab;
  }

  /** Another number for each time that something was taken from the thread: what was done before, it tells of at the next. */
  get takes(): number {
    return this.#takes;
  }

  /** Answers on socket `fd` what is like the pattern, from now on, before anybody here hears of it. False: it does not fit. */
  prepare(slot: number, fd: number, { pattern, mask, answer, copies, id, flags }: PreparedAnswer): boolean {
    return this.#native.prepare(this.#watch, slot, fd, pattern, mask, answer, copies, id, flags) === 0;
  }

  /** Takes now what the thread has, and tells of it; in the callbacks it does nothing. */
  release(): void {
    if (!this.#closed) this.#native.release(this.#watch);
  }

  /** Forgets the prepared answer or the hold of a slot; without one, every answer. When this returns, none of it goes out any more. */
  withdraw(slot = -1): void {
    if (!this.#closed) this.#native.withdraw(this.#watch, slot);
  }

  /** What was answered of the batch at hand: to be called in its callbacks. */
  given(): readonly GivenAnswer[] {
    return this.#given;
  }

  #onRecords(from: number, end: number): void {
    this.#takes++;
    for (let at = from; at < end && !this.#closed; ) {
      const length = readU32(this.#slab, at);
      this.#onRecord(at, { from: at + RECORD.HEADER, to: at + RECORD.HEADER + length });
      at += RECORD.HEADER + ((length + 7) & ~7);
    }
    this.#endBatch();
  }

  #onRecord(at: number, { from, to }: Range): void {
    const number = readU32(this.#slab, at + 8);
    switch (readU32(this.#slab, at + 4)) {
      case RECORD.DATAGRAM:
        // A message larger than its room was cut: what it said is lost, as in an overrun.
        if (number > to - from) this.#lost = true;
        else this.#deliver(from, to);
        return;
      case RECORD.ANSWER:
        this.#given.push({ id: number, datagram: this.#datagramOf(at), answer: { from, to }, replies: [] });
        return;
      case RECORD.REPLY:
        this.#given.at(-1)?.replies.push({ from, to });
        return;
      // A socket that fails is deaf: whoever listens reads what there is, and may find out why.
      default:
        return this.#onOverrun();
    }
  }

  #datagramOf(at: number): Range {
    const record = at - readU32(this.#slab, at + 12);
    const from = record + RECORD.HEADER;
    return { from, to: from + readU32(this.#slab, record) };
  }

  /** What came before the loss is told of before it. */
  #onOverrun(): void {
    this.#lost = true;
    this.#endBatch();
  }

  #endBatch(): void {
    if (this.#heard && !this.#closed) this.#options.onBatchEnd?.();
    this.#heard = false;
    if (this.#given.length > 0) this.#given = [];
    const lost = this.#lost;
    this.#lost = false;
    if (lost && !this.#closed) this.#options.onOverrun();
  }

  #deliver(from: number, to: number): void {
    const { onMessage } = this.#options;
    this.#heard = true;
    try {
      eachMessage(this.#slab, from, to, (header) => {
        if (header.type >= NLMSG.MIN_TYPE && !this.#closed) onMessage(this.#slab, header);
      });
    } catch (error) {
      // What cannot be read has not been heard: the tables are read anew. An error of whoever listens goes on to them.
      if (!(error instanceof CodecError)) throw error;
      this.#lost = true;
    }
  }
}
