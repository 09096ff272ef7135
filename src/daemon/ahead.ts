import type { AnswerCounts } from "../netlink/index.ts";

/** What goes out before JavaScript hears of the event that asks for it: for connections, and for the host. */
export interface Ahead<T> extends Disposable {
  /** What went out ahead of the batch at hand: to be called once a batch, before whoever decides hears of the batch. */
  given(): readonly T[];
  /** When this returns, nothing goes out any more until all is thought over again. */
  withdraw(): void;
  /** Since the start. */
  readonly counts: AnswerCounts;
}
