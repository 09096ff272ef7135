import type { Action, EngineEvent } from "../engine/index.ts";
import type { HostFact } from "../host/index.ts";
import type { Millis, MptcpEvent } from "../types/index.ts";
import type { Beginning, Entry, EventEntry, FactEntry } from "./entry.ts";
import { isSame } from "./equal.ts";
import { FRAME_MAX, type FrameKind, frame } from "./frame.ts";
import type { AddressMask } from "./mask.ts";
import { ValueWriter } from "./values.ts";

/** What stands before each entry. */
export const CODE = {
  begin: 1,
  event: 2,
  outcome: 3,
  fact: 4,
  seen: 5,
  lost: 6,
  network: 7,
  table: 8,
  forget: 9,
  owner: 10,
} as const;

/** Facts that are asked for again and again, and are mostly as they were: only what changed is written. */
export const LARGE_FACTS = {
  network: ["links", "addresses", "routes", "rules", "quotaUsed"],
  table: ["endpoints", "limits"],
} as const;

/** Actions whose outcome is an event that names them. */
export const WITH_OUTCOME: ReadonlySet<Action["type"]> = new Set([
  "subflow.create",
  "subflow.destroy",
  "subflow.setBackup",
  "address.announce",
  "address.remove",
  "route.query",
  "listener.open",
  "listener.close",
]);

/** Entries → frames. What was written once is written by reference until {@link begin}. */
export class RecordingWriter {
  readonly #values = new ValueWriter();
  readonly #masked: <T>(value: T) => T;
  /** Actions whose outcome may come, as they were written. */
  readonly #open = new Set<number>();
  readonly #before = new Map<string, unknown>();
  #at: Millis = 0;
  #kind: FrameKind = "begin";

  /** @param mask what addresses become before they are written; undefined: they stay */
  constructor(mask?: AddressMask) {
    this.#masked = mask ? (value) => mask.value(value) : (value) => value;
  }

  /** Bytes since the last {@link take}. */
  get size(): number {
    return this.#values.out.length;
  }

  /** The next frame needs none before it. */
  begin(beginning: Beginning): void {
    this.#forget();
    this.#kind = "begin";
    this.#values.out.cut(0);
    this.add(beginning);
  }

  /** @returns whether it was taken: not what is too large for a frame, or no value that can be written */
  add(entry: Entry): boolean {
    const { out } = this.#values;
    if (this.#values.isFull) {
      out.byte(CODE.forget);
      this.#forget();
    }
    const before = out.length;
    try {
      this.#entry(entry);
      if (out.length <= FRAME_MAX) return true;
    } catch {
      // A policy of somebody else's remembers what nobody can write.
    }
    out.cut(before);
    // What it has made known cannot be referred to.
    out.byte(CODE.forget);
    this.#forget();
    return false;
  }

  /** What was added since the last time, in a frame; undefined: nothing. */
  take(): Uint8Array | undefined {
    const { out } = this.#values;
    if (out.length === 0) return undefined;
    const framed = frame(this.#kind, out.bytes);
    this.#kind = "more";
    out.cut(0);
    return framed;
  }

  #forget(): void {
    this.#values.forget();
    this.#open.clear();
    this.#before.clear();
    this.#at = 0;
  }

  #write(value: unknown): void {
    this.#values.write(this.#masked(value));
  }

  #entry(entry: Entry): void {
    switch (entry.type) {
      case "begin":
        this.#head(CODE.begin, entry.at);
        return this.#write(entry);
      case "event":
        return this.#event(entry);
      case "fact":
        return this.#fact(entry);
      case "seen":
        this.#head(CODE.seen, entry.at);
        return this.#write(entry.connection);
      case "owner":
        this.#head(CODE.owner, entry.at);
        this.#values.out.varint(entry.token);
        return this.#values.out.varint(entry.uid);
      case "lost":
        this.#head(CODE.lost, entry.at);
        return this.#values.out.varint(entry.entries);
    }
  }

  #head(code: number, at: Millis): void {
    const { out } = this.#values;
    out.byte(code);
    // Clocks of daemons have whole microseconds, and so have most others.
    const ticks = Math.round(at * 1000);
    const before = Math.round(this.#at * 1000);
    const since = ticks - before;
    if (ticks / 1000 === at && before / 1000 === this.#at && since >= 0 && since < 2 ** 51) out.varint(since * 2);
    else {
      out.varint(1);
      out.f64(at);
    }
    this.#at = at;
  }

  #event({ at, event, actions }: EventEntry): void {
    const values = this.#values;
    if (isOutcome(event) && this.#open.delete(event.action.id)) {
      this.#head(CODE.outcome, at);
      const { action, ...rest } = event;
      values.out.varint(action.id);
      this.#write(rest);
    } else {
      this.#head(CODE.event, at);
      this.#write(event);
    }
    this.#write(actions);
    for (const action of actions) if (WITH_OUTCOME.has(action.type)) this.#open.add(action.id);
  }

  #fact({ at, fact, actions, recovers, sysctls }: FactEntry): void {
    const values = this.#values;
    if (fact.type === "network") this.#large(CODE.network, at, LARGE_FACTS.network, fact.network);
    else if (fact.type === "table") this.#large(CODE.table, at, LARGE_FACTS.table, fact);
    else {
      this.#head(CODE.fact, at);
      this.#write(plainFact(fact));
    }
    this.#write(actions);
    values.write(recovers);
    this.#write(sysctls);
  }

  #large<F extends string>(
    code: number,
    at: Millis,
    fields: readonly F[],
    fact: { readonly [name in F]?: unknown },
  ): void {
    const values = this.#values;
    this.#head(code, at);
    const changed = fields.filter((name) => !this.#before.has(name) || !isSame(this.#before.get(name), fact[name]));
    values.out.byte(changed.reduce((mask, name) => mask | (1 << fields.indexOf(name)), 0));
    for (const name of changed) {
      this.#before.set(name, fact[name]);
      this.#write(fact[name]);
    }
  }
}

function isOutcome(event: EngineEvent): event is Extract<EngineEvent, { readonly action: Action }> {
  return event.type === "action.done" || event.type === "action.failed";
}

/** Without what nothing is decided by, and whose bytes are not ours to keep. */
function plainFact(fact: HostFact): unknown {
  if (fact.type !== "events") return fact;
  return { ...fact, events: fact.events.map((event): MptcpEvent => ({ ...event, unknown: [] })) };
}
