import { assert, type Millis } from "../types/index.ts";

/** What a {@link Timers} orders: it keeps its own place in the heap, so that moving and removing cost no search. */
export interface Timed {
  /** Point in time; meaningful while `timerIndex` is not -1. */
  dueAt: Millis;
  /** Place in the heap, -1: not in it. */
  timerIndex: number;
}

/** A binary heap of at most one timer per item: earliest in O(1), set and clear in O(log n), nothing left behind. */
export class Timers<T extends Timed> {
  readonly #heap: T[] = [];

  /** The earliest time; undefined: none. */
  get next(): Millis | undefined {
    return this.#heap[0]?.dueAt;
  }

  /** Sets, moves or (undefined) clears the item's timer. */
  set(item: T, dueAt: Millis | undefined): void {
    if (dueAt === undefined) {
      if (item.timerIndex >= 0) this.#remove(item);
      return;
    }
    if (item.timerIndex < 0) {
      item.timerIndex = this.#heap.length;
      this.#heap.push(item);
    } else if (item.dueAt === dueAt) return;
    item.dueAt = dueAt;
    this.#settle(item);
  }

  /** Takes out the earliest item that is due; undefined: none is. */
  pop(now: Millis): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.dueAt > now) return undefined;
    this.#remove(first);
    return first;
  }

  #remove(item: T): void {
    const index = item.timerIndex;
    const last = this.#heap.pop();
    assert(last !== undefined, "an item with a timer is in the heap");
    item.timerIndex = -1;
    if (last === item) return;
    last.timerIndex = index;
    this.#heap[index] = last;
    this.#settle(last);
  }

  /** Moves an item up, or else down, to where it belongs. */
  #settle(item: T): void {
    const heap = this.#heap;
    let index = item.timerIndex;
    while (index > 0) {
      const parent = heap[(index - 1) >> 1] as T;
      if (parent.dueAt <= item.dueAt) break;
      heap[index] = parent;
      parent.timerIndex = index;
      index = (index - 1) >> 1;
    }
    for (;;) {
      let child = heap[2 * index + 1];
      if (child === undefined) break;
      const right = heap[2 * index + 2];
      if (right !== undefined && right.dueAt < child.dueAt) child = right;
      if (child.dueAt >= item.dueAt) break;
      const childIndex = child.timerIndex;
      heap[index] = child;
      child.timerIndex = index;
      index = childIndex;
    }
    heap[index] = item;
    item.timerIndex = index;
  }
}
