import type { Action, EngineEvent } from "../engine/index.ts";
import type { HostAction, HostFact } from "../host/index.ts";
import type { Millis } from "../types/index.ts";
import { ByteReader } from "./bytes.ts";
import type { Entry, SysctlRead } from "./entry.ts";
import { RecordingError } from "./error.ts";
import { FrameReader, type Piece } from "./frame.ts";
import { ValueReader } from "./values.ts";
import { CODE, LARGE_FACTS, WITH_OUTCOME } from "./writer.ts";

/** What is wrong with a recording, where. What stands before it, and from the next beginning on, plays. */
export interface Damage {
  readonly type: "damage";
  /** Byte of the recording. */
  readonly at: number;
  readonly reason: string;
}

/** Bytes, piece by piece → entries. @throws RecordingError where it is no recording, or one of another format */
export class RecordingReader {
  readonly #frames = new FrameReader();
  readonly #values = new ValueReader();
  readonly #open = new Map<number, Action>();
  readonly #before = new Map<string, unknown>();
  #at: Millis = 0;
  /** After damage: what follows refers to what is not there. */
  #waitsForBeginning = true;

  *push(bytes: Uint8Array): Generator<Entry | Damage> {
    for (const piece of this.#frames.push(bytes)) yield* this.#piece(piece);
  }

  /** There are no more bytes. */
  *end(): Generator<Entry | Damage> {
    for (const piece of this.#frames.end()) yield* this.#piece(piece);
  }

  *#piece(piece: Piece): Generator<Entry | Damage> {
    if (piece.type === "spoilt") {
      this.#waitsForBeginning = true;
      yield { type: "damage", at: piece.at, reason: `${piece.bytes} bytes are cut off or spoilt` };
      return;
    }
    if (piece.kind === "begin") {
      this.#forget();
      this.#waitsForBeginning = false;
    } else if (this.#waitsForBeginning) return;
    try {
      const from = new ByteReader(piece.payload);
      this.#values.from(from);
      while (from.left > 0) {
        const entry = this.#entry(from);
        if (entry) yield entry;
      }
    } catch (error) {
      if (!(error instanceof RecordingError)) throw error;
      this.#waitsForBeginning = true;
      yield { type: "damage", at: piece.at, reason: error.message };
    }
  }

  #forget(): void {
    this.#values.forget();
    this.#open.clear();
    this.#before.clear();
    this.#at = 0;
  }

  #entry(from: ByteReader): Entry | undefined {
    const code = from.byte();
    if (code === CODE.forget) {
      this.#forget();
      return undefined;
    }
    const at = this.#time(from);
    switch (code) {
      case CODE.begin:
        return { ...checked<Extract<Entry, { type: "begin" }>>(this.#values.read(), "begin"), at };
      case CODE.event:
        return this.#event(at, typed(this.#values.read()) as unknown as EngineEvent);
      case CODE.outcome:
        return this.#event(at, this.#outcome(from.varint()));
      case CODE.network: {
        const network = this.#large(from, LARGE_FACTS.network);
        return this.#fact(at, { type: "network", network: { ...network, sysctls: NONE } } as unknown as HostFact);
      }
      case CODE.table:
        return this.#fact(at, { type: "table", ...this.#large(from, LARGE_FACTS.table) } as unknown as HostFact);
      case CODE.fact:
        return this.#fact(at, typed(this.#values.read()) as unknown as HostFact);
      case CODE.seen:
        return { type: "seen", at, connection: this.#values.read() as never };
      case CODE.owner:
        return { type: "owner", at, token: from.varint(), uid: from.varint() };
      case CODE.lost:
        return { type: "lost", at, entries: from.varint() };
      default:
        throw new RecordingError(`0x${code.toString(16)} begins no entry`);
    }
  }

  #time(from: ByteReader): Millis {
    const since = from.varint();
    this.#at = since & 1 ? from.f64() : (Math.round(this.#at * 1000) + Math.floor(since / 2)) / 1000;
    if (!Number.isFinite(this.#at)) throw new RecordingError("a time is none");
    return this.#at;
  }

  #event(at: Millis, event: EngineEvent): Entry {
    const actions = this.#actions<Action>();
    for (const action of actions) if (WITH_OUTCOME.has(action.type)) this.#open.set(action.id, action);
    return { type: "event", at, event, actions };
  }

  #outcome(id: number): EngineEvent {
    const rest = typed(this.#values.read());
    const action = this.#open.get(id);
    if (!action) throw new RecordingError(`action ${id} was not written before its outcome`);
    this.#open.delete(id);
    return { ...rest, action } as unknown as EngineEvent;
  }

  #fact(at: Millis, fact: HostFact): Entry {
    const actions = this.#actions<HostAction>();
    const recovers = this.#values.read() === true;
    const sysctls = list(this.#values.read()) as readonly SysctlRead[];
    return { type: "fact", at, fact, actions, recovers, sysctls };
  }

  #actions<T>(): readonly T[] {
    return list(this.#values.read()).map((action) => typed(action) as unknown as T);
  }

  #large(from: ByteReader, fields: readonly string[]): Record<string, unknown> {
    const mask = from.byte();
    const whole: Record<string, unknown> = {};
    for (const [index, name] of fields.entries()) {
      if (mask & (1 << index)) this.#before.set(name, this.#values.read());
      whole[name] = this.#before.get(name);
    }
    return whole;
  }
}

/** Sysctls are told of where they were asked for. */
const NONE: ReadonlyMap<string, string> = new Map();

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new RecordingError("a list is none");
  return value;
}

function typed(value: unknown): { readonly type: string } {
  if (typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string")
    return value as { readonly type: string };
  throw new RecordingError("an entry says not what it is");
}

function checked<T extends { readonly type: string }>(value: unknown, type: T["type"]): T {
  const known = typed(value);
  if (known.type !== type) throw new RecordingError(`a ${type} is none`);
  return known as T;
}
