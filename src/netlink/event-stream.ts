import type { MptcpEvent } from "../types/index.ts";

/** What an {@link EventStream} yields: an event, or word that events were lost. */
export type StreamItem = MptcpEvent | { readonly type: "overrun" };

/** A reader that falls this far behind loses what comes next, and is told so by an overrun item. */
const QUEUE_MAX = 65_536;

/** Kernel events as an async iterable, for readers that are not in a hurry; the daemon uses `MptcpPm.watch`. */
export class EventStream implements AsyncIterable<StreamItem>, Disposable {
  readonly #queue: StreamItem[] = [];
  readonly #watcher: { close(): void };
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(
    subscribe: (push: (event: MptcpEvent) => void, overrun: () => void) => { close(): void },
    signal?: AbortSignal,
  ) {
    this.#watcher = subscribe(
      (event) => this.#push(event),
      () => this.#push({ type: "overrun" }),
    );
    if (signal?.aborted) this.close();
    else signal?.addEventListener("abort", () => this.close(), { once: true });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watcher.close();
    this.#wake?.();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamItem, void, void> {
    try {
      for (;;) {
        const item = this.#queue.shift();
        if (item !== undefined) yield item;
        else if (this.#closed) return;
        else await this.#arrival();
      }
    } finally {
      this.close();
    }
  }

  #arrival(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #push(item: StreamItem): void {
    if (this.#queue.length < QUEUE_MAX) this.#queue.push(item);
    else this.#queue[QUEUE_MAX - 1] = { type: "overrun" };
    this.#wake?.();
  }
}
