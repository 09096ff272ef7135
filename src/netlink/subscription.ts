import { ERRNO } from "../types/index.ts";
import { CodecError, eachMessage, type MessageHeader, NLMSG } from "../wire/index.ts";
import { NetlinkError } from "./errors.ts";
import { loadNative, type NativeAddon, type WatchHandle } from "./native.ts";
import { checkNetns, withNetns } from "./netns.ts";

/** Options of {@link NetlinkSubscription}. */
export interface SubscriptionOptions {
  readonly netns?: string | undefined;
  /** Bytes of kernel memory for events that wait; about 830 go to one MPTCP event. SO_RCVBUFFORCE where allowed. */
  readonly receiveBuffer?: number;
  /** Called for each message, in the same turn of the loop in which the kernel woke us. */
  readonly onMessage: (bytes: Uint8Array, header: MessageHeader) => void;
  /** Messages were lost, or one cannot be decoded: what is known must be read anew. Later messages arrive as before. */
  readonly onOverrun: () => void;
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
  /** Forgotten when it was given. */
  readonly once?: boolean;
}

/** A datagram of the batch at hand that was answered: by which slot, and where in {@link NetlinkSubscription.bytes} it begins. */
export interface GivenAnswer {
  readonly slot: number;
  readonly from: number;
}

/** 16 MiB hold some 20,000 MPTCP events: four seconds of 5,000 connections a second. */
const RECEIVE_BUFFER = 16 << 20;
const SLOT_BYTES = 8 * 1024;
const SLOTS = 64;
/** The addon wants at least one number; three make a copy. */
export const NO_COPIES = new Int32Array(1);
const NOTHING: readonly GivenAnswer[] = Object.freeze([]);

/** Multicast messages of one netlink protocol in one network namespace. Keeps the event loop alive until closed. */
export class NetlinkSubscription implements Disposable {
  readonly #native: NativeAddon;
  readonly #fd: number;
  readonly #watch: WatchHandle;
  readonly #slab = new Uint8Array(SLOT_BYTES * SLOTS);
  readonly #lengths = new Int32Array(SLOTS);
  readonly #options: SubscriptionOptions;
  readonly #pairs = new Int32Array(2 * SLOTS);
  #answered = 0;
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
    const watch = native.watch(this.#fd, this.#slab, this.#lengths, (count, answered) =>
      this.#onReadable(count, answered),
    );
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

  /** The datagrams of the batch at hand. */
  get bytes(): Uint8Array {
    return this.#slab;
  }

  /** Answers on socket `fd` what is like the pattern, from now on, before anybody here hears of it. False: it does not fit. */
  prepare(slot: number, fd: number, { pattern, mask, answer, copies, once }: PreparedAnswer): boolean {
    return this.#native.prepare(this.#watch, slot, fd, pattern, mask, answer, copies, once ? 1 : 0) === 0;
  }

  /** From now on what is like the pattern is told of together with the next other message, or at {@link release}. */
  hold(slot: number, { pattern, mask }: Pattern): boolean {
    return this.#native.prepare(this.#watch, slot, this.#fd, pattern, mask, new Uint8Array(0), NO_COPIES, 0) === 0;
  }

  /** Tells now of what is held. */
  release(): void {
    if (!this.#closed) this.#native.release(this.#watch);
  }

  /** Forgets the prepared answer or the hold of a slot; without one, every answer. */
  withdraw(slot = -1): void {
    if (!this.#closed) this.#native.withdraw(this.#watch, slot);
  }

  /** What was answered of the batch at hand: to be called in its callbacks. */
  given(): readonly GivenAnswer[] {
    if (this.#answered === 0) return NOTHING;
    const count = this.#native.answered(this.#watch, this.#pairs);
    return Array.from({ length: count }, (_, index) => ({
      slot: this.#pairs[2 * index + 1]!,
      from: this.#pairs[2 * index]! * SLOT_BYTES,
    }));
  }

  #onReadable(count: number, answered: number): void {
    this.#answered = answered;
    if (count < 0) {
      if (-count === ERRNO.ENOBUFS) this.#options.onOverrun();
      return;
    }
    for (let slot = 0; slot < count && !this.#closed; slot++) {
      const length = this.#lengths[slot]!;
      // A message larger than a slot was cut: what it said is lost, as in an overrun.
      if (length > SLOT_BYTES) this.#options.onOverrun();
      else this.#deliver(slot * SLOT_BYTES, slot * SLOT_BYTES + length);
    }
    if (!this.#closed) this.#options.onBatchEnd?.();
  }

  #deliver(from: number, to: number): void {
    const { onMessage, onOverrun } = this.#options;
    try {
      eachMessage(this.#slab, from, to, (header) => {
        if (header.type >= NLMSG.MIN_TYPE && !this.#closed) onMessage(this.#slab, header);
      });
    } catch (error) {
      // What cannot be read has not been heard: the tables are read anew. An error of whoever listens goes on to them.
      if (!(error instanceof CodecError)) throw error;
      onOverrun();
    }
  }
}
