import { EventEmitter } from "node:events";
import type { SubflowError, Token, WatchedConnection } from "../types/index.ts";
import { type Change, changes, type WatchOptions } from "./changes.ts";

/** What {@link Watching} emits: each {@link Change} under its type, and how it ended. */
export interface WatchingEvents {
  readonly change: [change: Change];
  readonly connection: [change: Change & { type: "connection" }];
  readonly gone: [change: Change & { type: "gone" }];
  readonly event: [change: Change & { type: "event" }];
  readonly decision: [change: Change & { type: "decision" }];
  readonly kernel: [change: Change & { type: "kernel" }];
  readonly lost: [change: Change & { type: "lost" }];
  readonly complete: [change: Change & { type: "complete" }];
  readonly connected: [change: Change & { type: "connected" }];
  readonly disconnected: [change: Change & { type: "disconnected" }];
  readonly error: [error: SubflowError];
  readonly close: [];
}

/** The daemon's view, kept up to date from the next turn of the loop on. Ends with {@link Watching.close}. */
export class Watching extends EventEmitter<WatchingEvents> implements Disposable {
  /** Each connection as it was told last. */
  readonly connections = new Map<Token, WatchedConnection>();
  readonly #options: WatchOptions;
  readonly #stop = new AbortController();

  constructor(options: WatchOptions = {}) {
    super();
    this.#options = options;
    // Behind whoever adds its listeners now.
    setImmediate(() => void this.#run());
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** No more is told; `close` follows. */
  close(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#options;
    const signals = [this.#stop.signal, ...(signal ? [signal] : [])];
    try {
      for await (const change of changes({ ...this.#options, signal: AbortSignal.any(signals) })) {
        if (change.type === "connection") this.connections.set(change.connection.token, change.connection);
        else if (change.type === "gone") this.connections.delete(change.token);
        this.emit("change", change);
        this.emit(change.type, change as never);
      }
    } catch (error) {
      this.emit("error", error as SubflowError);
    } finally {
      this.emit("close");
    }
  }
}
