import type { Millis } from "../../types/index.ts";
import type { Logger } from "../logger.ts";

/** First wait before a state that could not be written is tried again, and the longest: doubled each time. */
const RETRY_MIN: Millis = 1000;
const RETRY_MAX: Millis = 60_000;

/**
 * Writes down what must outlive a kill -9. Where that fails (a full disk) the daemon goes on: it is said once, shown by
 * `subflow status`, and tried again until it is written.
 */
export class StateKeeper<T> implements Disposable {
  readonly #write: (state: T) => void;
  readonly #log: Logger;
  #unwritten: T | undefined;
  #wait = RETRY_MIN;
  #timer: NodeJS.Timeout | undefined;
  #trouble: string | undefined;

  constructor(write: (state: T) => void, log: Logger) {
    this.#write = write;
    this.#log = log;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#unwritten = undefined;
  }

  /** What is wrong at present. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  save(state: T): void {
    try {
      this.#write(state);
    } catch (error) {
      return this.#onFailure(state, error as Error);
    }
    if (this.#trouble === undefined) return;
    this.#log.info("the state is written again");
    clearTimeout(this.#timer);
    this.#timer = this.#trouble = this.#unwritten = undefined;
    this.#wait = RETRY_MIN;
  }

  #onFailure(state: T, { message }: Error): void {
    if (this.#trouble === undefined) {
      this.#log.error(
        `the state cannot be written: ${message}; it is tried again. Until then a daemon that is killed leaves what the next one does not know`,
      );
    }
    this.#trouble = `the state cannot be written: ${message}`;
    this.#unwritten = state;
    this.#timer ??= setTimeout(() => this.#retry(), this.#wait).unref();
  }

  #retry(): void {
    this.#timer = undefined;
    this.#wait = Math.min(2 * this.#wait, RETRY_MAX);
    if (this.#unwritten !== undefined) this.save(this.#unwritten);
  }
}
