import type { Millis, MptcpEvent } from "../../types/index.ts";

/** Who told of an event. */
export type Teller = "daemon" | "kernel";

/** Different events that are remembered; the oldest make room. */
const REMEMBERED_MAX = 10_000;

/**
 * Where two tell of the same events, each in its order and at its time: every event is new once. The n-th time that one tells of something is the same as the n-th
 * time that the other does.
 */
export class Twice {
  /** The one that was told of last stands last. */
  readonly #told = new Map<string, Record<Teller, number> & { at: Millis }>();

  /** Has the other not told of it yet? */
  isNew(teller: Teller, event: MptcpEvent, now: Millis): boolean {
    const key = keyOf(event);
    const told = this.#told.get(key) ?? { daemon: 0, kernel: 0, at: now };
    const isNew = ++told[teller] > told[teller === "daemon" ? "kernel" : "daemon"];
    told.at = now;
    this.#told.delete(key);
    this.#told.set(key, told);
    const [oldest] = this.#told.keys();
    if (this.#told.size > REMEMBERED_MAX && oldest !== undefined) this.#told.delete(oldest);
    return isNew;
  }

  /** What was told of last before then is forgotten. */
  forget(before: Millis): void {
    for (const [key, { at }] of this.#told) {
      if (at >= before) return;
      this.#told.delete(key);
    }
  }

  clear(): void {
    this.#told.clear();
  }
}

function keyOf(event: MptcpEvent): string {
  const { type, token, localAddress, localPort, remoteAddress, remotePort, localId, remoteId } = event;
  const { backup, error, resetReason } = event;
  return [
    ...[type, token, localAddress, localPort, remoteAddress, remotePort, localId, remoteId],
    ...[backup, error, resetReason],
  ].join(" ");
}
