import { ByteReader, ByteWriter } from "./bytes.ts";
import { RecordingError } from "./error.ts";

/*
 * Values as bytes: what events, facts and actions are made of. Names and addresses come again and again, and so do objects with the same
 * fields: each is written once, and then by its number. A number below 128 is a byte; so are most references.
 */

/** Tags; below stand whole numbers from 0 to 127, above three ranges of 32. */
const TAG = {
  undefined: 0x80,
  null: 0x81,
  false: 0x82,
  true: 0x83,
  positive: 0x84,
  negative: 0x85,
  float: 0x86,
  text: 0x87,
  newText: 0x88,
  knownText: 0x89,
  array: 0x8a,
  newShape: 0x8b,
  knownShape: 0x8c,
  map: 0x8d,
  set: 0x8e,
  bytes: 0x8f,
  bigint: 0x90,
  u32: 0x91,
  /** Of a thousand: milliseconds that were counted in microseconds. */
  thousandths: 0x92,
} as const;
const SHORT_TEXT = 0xa0;
const SHORT_SHAPE = 0xc0;
const SHORT_ARRAY = 0xe0;
const SHORT = 32;

/** Longer texts are sentences, and come once. */
const KNOWN_TEXT_MAX = 64;
/** Texts and shapes that are known by number; when they are so many, both sides forget all. */
export const KNOWN_MAX = 8192;
/** Values within values; nothing of ours comes near. */
const DEPTH_MAX = 64;
/** From here on four bytes are less than a varint. */
const U32_FROM = 2 ** 28;
const U32_TO = 2 ** 32;
/** Up to here they are shorter than eight bytes. */
const THOUSANDTHS_MAX = 2 ** 49;

/** Fields in their order, found field by field. */
interface Shape {
  /** undefined: no object had just these. */
  number: number | undefined;
  readonly longer: Map<string, Shape>;
}

function longer(shape: Shape, key: string): Shape {
  let next = shape.longer.get(key);
  if (!next) {
    next = { number: undefined, longer: new Map() };
    shape.longer.set(key, next);
  }
  return next;
}

/** Writes values. What was said once is said by number until {@link forget}. */
export class ValueWriter {
  readonly out = new ByteWriter();
  readonly #texts = new Map<string, number>();
  #shapes: Shape = { number: undefined, longer: new Map() };
  #shapeCount = 0;

  /** So much is known that both sides should forget it. */
  get isFull(): boolean {
    return this.#texts.size >= KNOWN_MAX || this.#shapeCount >= KNOWN_MAX;
  }

  forget(): void {
    this.#texts.clear();
    this.#shapes = { number: undefined, longer: new Map() };
    this.#shapeCount = 0;
  }

  /** @throws RecordingError, TypeError for what cannot be written; then {@link forget} */
  write(value: unknown, depth = 0): void {
    const { out } = this;
    switch (typeof value) {
      case "number":
        return this.#number(value);
      case "string":
        return this.#text(value);
      case "boolean":
        return out.byte(value ? TAG.true : TAG.false);
      case "undefined":
        return out.byte(TAG.undefined);
      case "bigint":
        out.byte(TAG.bigint);
        return out.text(String(value));
      case "object":
        return value === null ? out.byte(TAG.null) : this.#object(value, depth + 1);
      default:
        throw new TypeError(`a ${typeof value} cannot be recorded`);
    }
  }

  #number(value: number): void {
    const { out } = this;
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      const thousandths = Math.round(value * 1000);
      if (thousandths > 0 && thousandths < THOUSANDTHS_MAX && thousandths / 1000 === value) {
        out.byte(TAG.thousandths);
        return out.varint(thousandths);
      }
      out.byte(TAG.float);
      return out.f64(value);
    }
    if (value >= 0 && value < TAG.undefined) return out.byte(value);
    if (value >= U32_FROM && value < U32_TO) {
      out.byte(TAG.u32);
      return out.u32(value);
    }
    out.byte(value < 0 ? TAG.negative : TAG.positive);
    out.varint(value < 0 ? -value : value);
  }

  #text(text: string): void {
    const { out } = this;
    const known = this.#texts.get(text);
    if (known !== undefined) {
      if (known < SHORT) return out.byte(SHORT_TEXT + known);
      out.byte(TAG.knownText);
      return out.varint(known);
    }
    const isKept = text.length <= KNOWN_TEXT_MAX && this.#texts.size < KNOWN_MAX;
    if (isKept) this.#texts.set(text, this.#texts.size);
    out.byte(isKept ? TAG.newText : TAG.text);
    out.text(text);
  }

  #object(value: object, depth: number): void {
    const { out } = this;
    if (depth > DEPTH_MAX) throw new RecordingError("values stand too deep in each other");
    if (Array.isArray(value)) {
      if (value.length < SHORT) out.byte(SHORT_ARRAY + value.length);
      else {
        out.byte(TAG.array);
        out.varint(value.length);
      }
      for (const each of value) this.write(each, depth);
    } else if (value instanceof Map) {
      out.byte(TAG.map);
      out.varint(value.size);
      for (const [key, each] of value) {
        this.write(key, depth);
        this.write(each, depth);
      }
    } else if (value instanceof Set) {
      out.byte(TAG.set);
      out.varint(value.size);
      for (const each of value) this.write(each, depth);
    } else if (value instanceof Uint8Array) {
      out.byte(TAG.bytes);
      out.varint(value.length);
      out.raw(value);
    } else this.#record(value as Readonly<Record<string, unknown>>, depth);
  }

  #record(value: Readonly<Record<string, unknown>>, depth: number): void {
    const { out } = this;
    const keys = Object.keys(value);
    let shape = this.#shapes;
    for (const key of keys) shape = longer(shape, key);
    const known = shape.number;
    if (known === undefined) {
      if (this.#shapeCount < KNOWN_MAX) shape.number = this.#shapeCount++;
      out.byte(TAG.newShape);
      out.varint(keys.length);
      for (const key of keys) this.#text(key);
    } else if (known < SHORT) out.byte(SHORT_SHAPE + known);
    else {
      out.byte(TAG.knownShape);
      out.varint(known);
    }
    for (const key of keys) this.write(value[key], depth);
  }
}

/** Reads what {@link ValueWriter} wrote. @throws RecordingError */
export class ValueReader {
  #in = new ByteReader(new Uint8Array());
  readonly #texts: string[] = [];
  readonly #shapes: (readonly string[])[] = [];

  forget(): void {
    this.#texts.length = 0;
    this.#shapes.length = 0;
  }

  /** Goes on with other bytes. */
  from(reader: ByteReader): void {
    this.#in = reader;
  }

  read(depth = 0): unknown {
    if (depth > DEPTH_MAX) throw new RecordingError("values stand too deep in each other");
    const from = this.#in;
    const tag = from.byte();
    if (tag < TAG.undefined) return tag;
    if (tag >= SHORT_ARRAY) return this.#array(tag - SHORT_ARRAY, depth);
    if (tag >= SHORT_SHAPE) return this.#record(this.#shape(tag - SHORT_SHAPE), depth);
    if (tag >= SHORT_TEXT) return this.#known(tag - SHORT_TEXT);
    switch (tag) {
      case TAG.undefined:
        return undefined;
      case TAG.null:
        return null;
      case TAG.false:
        return false;
      case TAG.true:
        return true;
      case TAG.positive:
        return from.varint();
      case TAG.negative:
        return -from.varint();
      case TAG.float:
        return from.f64();
      case TAG.u32:
        return from.u32();
      case TAG.thousandths:
        return from.varint() / 1000;
      case TAG.bigint:
        return this.#bigint(from.text());
      case TAG.bytes:
        return from.raw(from.count());
      case TAG.array:
        return this.#array(from.count(), depth);
      case TAG.map:
        return new Map(this.#times(from.count(), () => [this.read(depth + 1), this.read(depth + 1)] as const));
      case TAG.set:
        return new Set(this.#array(from.count(), depth));
      case TAG.newShape:
        return this.#record(this.#newShape(), depth);
      case TAG.knownShape:
        return this.#record(this.#shape(from.varint()), depth);
      case TAG.text:
      case TAG.newText:
      case TAG.knownText:
        return this.#text(tag);
      default:
        throw new RecordingError(`0x${tag.toString(16)} begins no value`);
    }
  }

  #text(tag: number): string {
    if (tag >= SHORT_TEXT && tag < SHORT_SHAPE) return this.#known(tag - SHORT_TEXT);
    switch (tag) {
      case TAG.text:
        return this.#in.text();
      case TAG.newText: {
        const text = this.#in.text();
        if (this.#texts.length >= KNOWN_MAX) throw new RecordingError("too many texts are to be known");
        this.#texts.push(text);
        return text;
      }
      case TAG.knownText:
        return this.#known(this.#in.varint());
      default:
        throw new RecordingError("a name is no text");
    }
  }

  #known(index: number): string {
    const text = this.#texts[index];
    if (text === undefined) throw new RecordingError(`text ${index} was not written before`);
    return text;
  }

  #newShape(): readonly string[] {
    const shape = this.#times(this.#in.count(), () => this.#text(this.#in.byte()));
    if (this.#shapes.length < KNOWN_MAX) this.#shapes.push(shape);
    return shape;
  }

  #shape(index: number): readonly string[] {
    const shape = this.#shapes[index];
    if (!shape) throw new RecordingError(`shape ${index} was not written before`);
    return shape;
  }

  #record(shape: readonly string[], depth: number): Record<string, unknown> {
    const record: Record<string, unknown> = {};
    for (const key of shape) {
      const value = this.read(depth + 1);
      // Assigned, this one name would change what the object is.
      if (key === "__proto__") Object.defineProperty(record, key, { value, enumerable: true });
      else record[key] = value;
    }
    return record;
  }

  #array(length: number, depth: number): unknown[] {
    return this.#times(length, () => this.read(depth + 1));
  }

  #times<T>(count: number, read: () => T): T[] {
    const list: T[] = [];
    for (let index = 0; index < count; index++) list.push(read());
    return list;
  }

  #bigint(text: string): bigint {
    if (!/^-?\d{1,400}$/.test(text)) throw new RecordingError("a number is none");
    return BigInt(text);
  }
}
