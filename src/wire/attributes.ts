import type { Address } from "../types/index.ts";
import { readAddress, readS32, readString, readU16, readU16be, readU32, readU64, type Writer } from "./bytes.ts";
import { CodecError } from "./errors.ts";

/** NLA_F_NESTED and NLA_F_NET_BYTEORDER (linux/netlink.h) are flags in the type field. */
const NLA_TYPE_MASK = 0x3fff;
const NLA_F_NESTED = 0x8000;
const NLA_HEADER = 4;

/** How an attribute's payload is read and written; "be" is network order. */
export type Kind = "u8" | "s8" | "u16" | "u16be" | "u32" | "s32" | "u64" | "string" | "bytes" | "flag" | "address";

type KindValue = {
  u8: number;
  s8: number;
  u16: number;
  u16be: number;
  u32: number;
  s32: number;
  u64: number;
  string: string;
  bytes: Uint8Array;
  flag: true;
  address: Address;
};

/** One row: attribute number, and its kind or the table of what is nested in it. */
export type Row = readonly [type: number, kind: Kind | Table];
export interface Table {
  readonly [name: string]: Row;
}

type RowValue<R extends Row> = R[1] extends Kind ? KindValue[R[1]] : R[1] extends Table ? Decoded<R[1]> : never;

/** An attribute that its table does not know: [number, payload]. Kept, never fatal: newer kernels send more. */
export type UnknownAttribute = readonly [type: number, payload: Uint8Array];

/** What a table decodes to: each attribute is present or not. */
export type Decoded<T extends Table> = { -readonly [K in keyof T]?: RowValue<T[K]> } & {
  unknown?: UnknownAttribute[];
};

/** What a table encodes: absent (undefined) attributes are left out. */
export type Encodable<T extends Table> = {
  readonly [K in keyof T]?: (T[K][1] extends Table ? Encodable<T[K][1]> : RowValue<T[K]>) | undefined;
};

const MIN_LENGTH: { readonly [K in Kind]: number } = {
  u8: 1,
  s8: 1,
  u16: 2,
  u16be: 2,
  u32: 4,
  s32: 4,
  u64: 8,
  string: 0,
  bytes: 0,
  flag: 0,
  address: 4,
};

interface Compiled {
  readonly names: (string | undefined)[];
  readonly kinds: (Kind | Table)[];
  readonly rows: { readonly name: string; readonly type: number; readonly kind: Kind | Table }[];
}
const compiled = new WeakMap<Table, Compiled>();

/** Rows by attribute number and in the table's order, made once for each table. */
function compile(table: Table): Compiled {
  let result = compiled.get(table);
  if (!result) {
    result = { names: [], kinds: [], rows: [] };
    for (const [name, [type, kind]] of Object.entries(table)) {
      result.names[type] = name;
      result.kinds[type] = kind;
      result.rows.push({ name, type, kind });
    }
    compiled.set(table, result);
  }
  return result;
}

/**
 * Walks the attributes in bytes[from, to): `visit(type, payloadFrom, payloadTo)`.
 * @throws CodecError when a header or a length does not fit.
 */
export function walk(
  bytes: Uint8Array,
  from: number,
  to: number,
  visit: (type: number, from: number, to: number, header: number) => void,
): void {
  let at = from;
  while (at < to) {
    if (to - at < NLA_HEADER) {
      // Alignment padding behind the last attribute is legal; anything else is not.
      for (let pad = at; pad < to; pad++) {
        if (bytes[pad] !== 0) throw new CodecError("stray bytes behind the last attribute", pad, "attributes");
      }
      return;
    }
    const length = readU16(bytes, at);
    if (length < NLA_HEADER || at + length > to) {
      throw new CodecError(`attribute length ${length} does not fit`, at, "attributes");
    }
    visit(readU16(bytes, at + 2) & NLA_TYPE_MASK, at + NLA_HEADER, at + length, at);
    at += (length + 3) & ~3;
  }
}

function readValue(kind: Kind, bytes: Uint8Array, from: number, to: number): unknown {
  if (to - from < MIN_LENGTH[kind]) throw new CodecError(`${kind} in ${to - from} bytes`, from, "attributes");
  switch (kind) {
    case "u8":
      return bytes[from];
    case "s8":
      return ((bytes[from] ?? 0) << 24) >> 24;
    case "u16":
      return readU16(bytes, from);
    case "u16be":
      return readU16be(bytes, from);
    case "u32":
      return readU32(bytes, from);
    case "s32":
      return readS32(bytes, from);
    case "u64":
      return readU64(bytes, from);
    case "string":
      return readString(bytes, from, to);
    case "bytes":
      return bytes.slice(from, to);
    case "flag":
      return true;
    case "address":
      if (to - from !== 4 && to - from !== 16)
        throw new CodecError(`address of ${to - from} bytes`, from, "attributes");
      return readAddress(bytes, from, to - from);
  }
}

/**
 * Decodes the attributes in bytes[from, to) by their table. An attribute that comes twice: the last one counts.
 * @throws CodecError, and nothing else, whatever the bytes.
 */
export function decode<T extends Table>(table: T, bytes: Uint8Array, from: number, to: number): Decoded<T> {
  const { names, kinds } = compile(table);
  const result: Record<string, unknown> = {};
  walk(bytes, from, to, (type, start, end) => {
    const name = names[type];
    const kind = kinds[type];
    if (name === undefined || kind === undefined) {
      const unknown = result.unknown as UnknownAttribute[] | undefined;
      const attribute: UnknownAttribute = [type, bytes.slice(start, end)];
      if (unknown) unknown.push(attribute);
      else result.unknown = [attribute];
    } else {
      result[name] = typeof kind === "string" ? readValue(kind, bytes, start, end) : decode(kind, bytes, start, end);
    }
  });
  return result as Decoded<T>;
}

/** The value has its kind's type: {@link Encodable} saw to that. */
function writeValue(writer: Writer, kind: Kind, value: unknown): void {
  switch (kind) {
    case "u8":
      return writer.u8(value as number);
    case "s8":
      return writer.u8((value as number) & 0xff);
    case "u16":
      return writer.u16(value as number);
    case "u16be":
      return writer.u16be(value as number);
    case "u32":
      return writer.u32(value as number);
    case "s32":
      return writer.u32((value as number) >>> 0);
    case "u64":
      return writer.u64(value as number);
    case "string":
      return writer.string(value as string);
    case "bytes":
      return writer.append(value as Uint8Array);
    case "flag":
      return;
    case "address":
      return writer.address(value as Address);
  }
}

/** Appends the attributes of `values`, in the table's order. Unknown ones cannot be encoded: build them by hand. */
export function encode<T extends Table>(writer: Writer, table: T, values: Encodable<T>): void {
  for (const { name, type, kind } of compile(table).rows) {
    const value = (values as Record<string, unknown>)[name];
    if (value === undefined) continue;
    const start = writer.length;
    writer.u16(0);
    if (typeof kind === "string") {
      writer.u16(type);
      writeValue(writer, kind, value);
    } else {
      writer.u16(type | NLA_F_NESTED);
      encode(writer, kind, value as Encodable<Table>);
    }
    writer.putU16(start, writer.length - start);
    writer.align();
  }
}

/**
 * The name of the attribute whose header or payload stands at `offset` of a request ("addr.id"), for error texts;
 * undefined when the offset points at no attribute of the table.
 */
export function attributeAt(
  table: Table,
  bytes: Uint8Array,
  from: number,
  to: number,
  offset: number,
): string | undefined {
  const { names, kinds } = compile(table);
  let found: string | undefined;
  walk(bytes, from, to, (type, start, end, header) => {
    if (offset < header || offset >= end) return;
    const name = names[type] ?? `attribute ${type}`;
    const kind = kinds[type];
    const inner =
      offset > header && kind && typeof kind === "object" ? attributeAt(kind, bytes, start, end, offset) : undefined;
    found = inner ? `${name}.${inner}` : name;
  });
  return found;
}

/** Where the payload of the first attribute of this type begins; -1: there is none. */
export function findAttribute(type: number, bytes: Uint8Array, from: number, to: number): number {
  let found = -1;
  walk(bytes, from, to, (each, start) => {
    if (each === type && found < 0) found = start;
  });
  return found;
}

/** The name of an attribute number in a table, for "missing attribute" texts. */
export function attributeName(table: Table, type: number): string {
  return compile(table).names[type] ?? `attribute ${type}`;
}
