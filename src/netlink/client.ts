import { ERRNO } from "../types/index.ts";
import {
  type Acknowledgement,
  attributeAt,
  attributeName,
  beginMessage,
  decodeAcknowledgement,
  eachMessage,
  endMessage,
  GENL_HEADER,
  type MessageHeader,
  NLM_F,
  NLMSG,
  NLMSG_HEADER,
  type Table,
  Writer,
} from "../wire/index.ts";
import { NetlinkError } from "./errors.ts";
import { loadNative, type NativeAddon } from "./native.ts";
import { checkNetns, withNetns } from "./netns.ts";

/** Netlink protocols (linux/netlink.h). */
export const NETLINK = { ROUTE: 0, SOCK_DIAG: 4, GENERIC: 16 } as const;

/** One request: what it is called in errors, its message type, and its body. */
export interface Request {
  /** In the user's words, for errors: "endpoint add". */
  readonly operation: string;
  readonly type: number;
  /** NLM_F_* beyond REQUEST and ACK. */
  readonly flags?: number;
  /** Appends the body: family header and attributes. */
  readonly write: (writer: Writer) => void;
  /** Table of the body's attributes, and where they begin behind nlmsghdr: for naming the offending one. */
  readonly attributes?: Table;
  readonly attributesAt?: number;
}

/** A decoder of one answer message; what it throws, the request throws. */
export type Decode<T> = (bytes: Uint8Array, header: MessageHeader) => T;

/** How long the kernel may take; it answers inside send(2), so this is reached only when something is very wrong. */
const DEADLINE = 5000;
/** A dump that the kernel says was interrupted by a change is asked for again this many times, then taken as it is. */
const DUMP_TRIES_MAX = 8;
/** The kernel fills a dump datagram up to the largest buffer it has seen us use, at most 32 KiB (netlink_dump). */
const SLOT_BYTES = 32 * 1024;
const SLOTS = 8;
/** What closed clients have left: who looks once and again would make V8 clear, and collect, 256 KiB each time. */
const spare: Uint8Array[] = [];
const SPARE_MAX = 2;
/** Answers of at most this many commands sent together fit any socket buffer; more are split. */
const BATCH_MAX = 256;

/** Options of {@link NetlinkClient}. */
export interface ClientOptions {
  /** A name of /run/netns, or a path; our own when absent. */
  readonly netns?: string | undefined;
  /** Receive buffer, bytes. */
  readonly receiveBuffer?: number;
  /** Milliseconds until a request without an answer fails with ETIMEDOUT. */
  readonly deadline?: number;
}

/**
 * Requests and their answers on one netlink socket, in one network namespace. Everything is synchronous: the kernel
 * works inside send(2) and the answer is there when it returns. For multicast use {@link NetlinkSubscription}.
 */
export class NetlinkClient implements Disposable {
  readonly #native: NativeAddon;
  readonly #fd: number;
  readonly #deadline: number;
  readonly #writer = new Writer();
  readonly #slab = spare.pop() ?? new Uint8Array(SLOT_BYTES * SLOTS);
  readonly #lengths = new Int32Array(SLOTS);
  #sequence = 1;
  #closed = false;

  constructor(protocol: number, options: ClientOptions = {}) {
    this.#native = loadNative();
    this.#deadline = options.deadline ?? DEADLINE;
    this.#fd = withNetns(options.netns, (netns) =>
      checkNetns(
        this.#native.openNetlink(protocol, netns, options.receiveBuffer ?? 1 << 20),
        "cannot open a netlink socket",
        options.netns,
      ),
    );
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#native.close(this.#fd);
    if (spare.length < SPARE_MAX) spare.push(this.#slab);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Sends one request that ends with an acknowledgement.
   * @throws NetlinkError
   */
  execute(request: Request): void {
    const [error] = this.executeAll([request]);
    if (error) throw error;
  }

  /**
   * Sends several requests in one send(2); the kernel runs them in order, a failed one does not stop the others.
   * @returns for each request undefined, or its error
   */
  executeAll(requests: readonly Request[]): (NetlinkError | undefined)[] {
    if (requests.length <= BATCH_MAX) return this.#executeBatch(requests);
    const results: (NetlinkError | undefined)[] = [];
    for (let at = 0; at < requests.length; at += BATCH_MAX) {
      results.push(...this.#executeBatch(requests.slice(at, at + BATCH_MAX)));
    }
    return results;
  }

  /**
   * Sends one request and decodes the one message it is answered with.
   * @throws NetlinkError; ENOENT-like refusals included
   */
  get<T>(request: Request, decode: Decode<T>): T {
    let answer: { value: T } | undefined;
    const error = this.#exchange([request], NLM_F.ACK, (bytes, header) => {
      answer = { value: decode(bytes, header) };
    })[0];
    if (error) throw error;
    if (!answer) throw new NetlinkError(request.operation, { errno: ERRNO.EIO, kernelMessage: "empty answer" });
    return answer.value;
  }

  /**
   * Like {@link get} for many requests in one send: undefined in the place of what there is not.
   * @param absent the errnos by which the kernel says that there is no such thing
   * @throws NetlinkError of any other: what could not be read must not look like what is gone
   */
  lookUpAll<T>(
    requests: readonly Request[],
    absent: ReadonlySet<number>,
    decode: (bytes: Uint8Array, header: MessageHeader, index: number) => T,
  ): (T | undefined)[] {
    const values: (T | undefined)[] = new Array(requests.length).fill(undefined);
    for (let at = 0; at < requests.length; at += BATCH_MAX) {
      const errors = this.#exchange(requests.slice(at, at + BATCH_MAX), NLM_F.ACK, (bytes, header, index) => {
        values[at + index] = decode(bytes, header, at + index);
      });
      const failed = errors.find((error) => error && !absent.has(error.errno));
      if (failed) throw failed;
    }
    return values;
  }

  /**
   * Dumps a table. One that changed while it was read (NLM_F_DUMP_INTR) is read again, a bounded number of times.
   * @throws NetlinkError also for an error in NLMSG_DONE's payload
   */
  dump<T>(request: Request, decode: Decode<T>): T[] {
    for (let left = DUMP_TRIES_MAX; ; left--) {
      const values: T[] = [];
      let interrupted = false;
      const error = this.#exchange([request], NLM_F.DUMP, (bytes, header) => {
        if (header.flags & NLM_F.DUMP_INTR) interrupted = true;
        values.push(decode(bytes, header));
      })[0];
      if (error) throw error;
      if (!interrupted || left <= 1) return values;
    }
  }

  /**
   * Dumps a table piece by piece: whoever reads may let other work go first between two pieces (some thousand messages). No
   * other request may go by this client meanwhile. What changes while it is read may be in it or not.
   * @throws NetlinkError like {@link dump}
   */
  *dumpInPieces(request: Request, onMessage: (bytes: Uint8Array, header: MessageHeader) => void): Generator<void> {
    const first = this.#sequence;
    this.#encode([request], NLM_F.DUMP);
    const results: (NetlinkError | undefined)[] = [undefined];
    const { bytes, length } = this.#writer;
    let count = this.#native.transact(this.#fd, bytes, length, this.#slab, this.#lengths, this.#deadline);
    for (;;) {
      if (count < 0) throw this.#fail([request], results, count)[0];
      const ended = this.#take(count, first, [request], results, onMessage) > 0;
      if (results[0]) throw results[0];
      if (ended) return;
      yield;
      count = this.#native.receive(this.#fd, this.#slab, this.#lengths, this.#deadline);
    }
  }

  #executeBatch(requests: readonly Request[]): (NetlinkError | undefined)[] {
    return this.#exchange(requests, NLM_F.ACK, ignoreAnswer);
  }

  /** Sends the requests together and reads until each has its ACK, error or DONE. */
  #exchange(
    requests: readonly Request[],
    flags: number,
    onAnswer: (bytes: Uint8Array, header: MessageHeader, index: number) => void,
  ): (NetlinkError | undefined)[] {
    const first = this.#sequence;
    this.#encode(requests, flags);
    const results: (NetlinkError | undefined)[] = new Array(requests.length).fill(undefined);
    let open = requests.length;
    const native = this.#native;
    let count = native.transact(
      this.#fd,
      this.#writer.bytes,
      this.#writer.length,
      this.#slab,
      this.#lengths,
      this.#deadline,
    );
    for (;;) {
      if (count < 0) return this.#fail(requests, results, count);
      open -= this.#take(count, first, requests, results, onAnswer);
      if (open <= 0) return results;
      count = native.receive(this.#fd, this.#slab, this.#lengths, this.#deadline);
    }
  }

  /** Goes through the datagrams that were received. @returns how many requests ended with them */
  #take(
    count: number,
    first: number,
    requests: readonly Request[],
    results: (NetlinkError | undefined)[],
    onAnswer: (bytes: Uint8Array, header: MessageHeader, index: number) => void,
  ): number {
    let ended = 0;
    for (let slot = 0; slot < count; slot++) {
      const from = slot * SLOT_BYTES;
      eachMessage(this.#slab, from, from + Math.min(this.#lengths[slot]!, SLOT_BYTES), (header) => {
        const index = header.sequence - first;
        // An answer to an earlier request that ran into its deadline.
        if (index < 0 || index >= requests.length) return;
        if (header.type === NLMSG.ERROR || header.type === NLMSG.DONE) {
          ended++;
          const acknowledgement = decodeAcknowledgement(this.#slab, header);
          if (acknowledgement.errno !== 0) results[index] = refusal(requests[index]!, acknowledgement);
        } else onAnswer(this.#slab, header, index);
      });
    }
    return ended;
  }

  #encode(requests: readonly Request[], flags: number): void {
    this.#writer.reset();
    encodeRequests(this.#writer, requests, flags, this.#sequence);
    this.#sequence += requests.length;
    // Sequence numbers are 32 bit; starting over long before that keeps the arithmetic plain.
    if (this.#sequence > 0x7fff_ffff) this.#sequence = 1;
  }

  /** The socket itself failed: every request without an answer gets that error. */
  #fail(
    requests: readonly Request[],
    results: (NetlinkError | undefined)[],
    count: number,
  ): (NetlinkError | undefined)[] {
    const errno = -count === ERRNO.EAGAIN ? ERRNO.ETIMEDOUT : -count;
    return requests.map((request, index) => results[index] ?? new NetlinkError(request.operation, { errno }));
  }
}

/** Appends requests as they go out together, numbered from `sequence`. `flags`: NLM_F_* for each. */
export function encodeRequests(writer: Writer, requests: readonly Request[], flags: number, sequence: number): void {
  let number = sequence;
  for (const request of requests) {
    const start = beginMessage(writer, request.type, NLM_F.REQUEST | flags | (request.flags ?? 0), number++);
    request.write(writer);
    endMessage(writer, start);
  }
}

function ignoreAnswer(): void {}

/** Finds out which attribute the kernel means: it says an offset into the request, or the number of a missing one. */
export function refusal(request: Request, { errno, message, offset, missingType }: Acknowledgement): NetlinkError {
  const table = request.attributes;
  let attribute: string | undefined;
  if (table && missingType !== undefined) attribute = attributeName(table, missingType);
  else if (table && offset !== undefined) {
    const writer = new Writer();
    request.write(writer);
    attribute = attributeAt(
      table,
      writer.bytes,
      request.attributesAt ?? GENL_HEADER,
      writer.length,
      offset - NLMSG_HEADER,
    );
  }
  return new NetlinkError(request.operation, { errno, kernelMessage: message, attribute });
}
