import { OwnerReader } from "../../netlink/index.ts";
import { type Millis, SubflowError, type Token } from "../../types/index.ts";

/** After a connection began: what it waits for is over by then, and what has ended meanwhile need not be asked about. */
const REST: Millis = 20;
/** Looked up in one turn of the loop: a tenth of a millisecond, for which an event may have to wait. */
const TURN_MAX = 8;
/** That wait to be looked up; whose the others were nobody will know. */
const WAITING_MAX = 1000;

/** What is asked of the kernel here. */
export type AskOwner = Pick<OwnerReader, "read"> & Disposable;

export interface WhoseOptions {
  readonly onFound: (token: Token, uid: number) => void;
  readonly open?: (() => AskOwner) | undefined;
}

/**
 * Finds out whose new connections are, a moment after they were told of: the socket must be there still, but nothing waits for the answer.
 * What fails is not known.
 */
export class Whose implements Disposable {
  readonly #options: WhoseOptions;
  readonly #uids = new Map<Token, number>();
  readonly #waiting = new Set<Token>();
  #reader: AskOwner | undefined;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;

  constructor(options: WhoseOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#reader?.[Symbol.dispose]();
  }

  /** undefined: it is not known, or the connection is over. */
  of(token: Token): number | undefined {
    return this.#uids.get(token);
  }

  begun(token: Token): void {
    if (this.#uids.has(token) || this.#waiting.size >= WAITING_MAX) return;
    this.#waiting.add(token);
    if (this.#turn === undefined) this.#timer ??= setTimeout(() => this.#lookUp(), REST);
  }

  ended(token: Token): void {
    this.#uids.delete(token);
    this.#waiting.delete(token);
  }

  /** Only these are there. */
  keep(tokens: ReadonlyMap<Token, number>): void {
    this.#uids.clear();
    for (const [token, uid] of tokens) this.#uids.set(token, uid);
  }

  #lookUp(): void {
    this.#timer = undefined;
    this.#turn = undefined;
    let left = TURN_MAX;
    for (const token of this.#waiting) {
      if (left-- === 0) break;
      this.#waiting.delete(token);
      const uid = this.#ask(token);
      if (uid === undefined) continue;
      this.#uids.set(token, uid);
      this.#options.onFound(token, uid);
    }
    if (this.#waiting.size > 0) this.#turn = setImmediate(() => this.#lookUp());
  }

  #ask(token: Token): number | undefined {
    try {
      this.#reader ??= (this.#options.open ?? (() => new OwnerReader()))();
      return this.#reader.read(token)?.uid;
    } catch (error) {
      if (error instanceof SubflowError) return undefined;
      throw error;
    }
  }
}
