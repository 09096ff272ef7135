/** What an ELF file says about how it is started and what made it. */
export interface Elf {
  readonly bits: 32 | 64;
  /** e_machine (elf.h): 62 x86-64, 183 AArch64. */
  readonly machine: number;
  /** It names a dynamic linker (PT_INTERP): a library can be preloaded. */
  readonly isDynamic: boolean;
  /** undefined: not made by Go. `version`: "go1.22.1", undefined where the build left it out. */
  readonly go: { readonly version: string | undefined } | undefined;
}

/** Reads up to `length` bytes of a file from `position`; fewer at its end. */
export type ReadAt = (position: number, length: number) => Buffer;

/** `e_machine` of what Node calls process.arch. */
export const MACHINE: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

const MAGIC = "\u007fELF";
const PT_INTERP = 3;
const PT_NOTE = 4;
/** More of either no linker writes; a damaged file is not read for ever. */
const HEADERS_MAX = 4096;
const ENTRY_BYTES_MAX = 256;
const TABLE_BYTES_MAX = 1 << 20;

/** Where the fields of the headers stand, for 32 and 64 bits (elf(5)). */
const LAYOUT = {
  32: {
    header: 52,
    phoff: 28,
    shoff: 32,
    counts: 42,
    program: { offset: 4, size: 16 },
    section: { offset: 16, size: 20 },
  },
  64: {
    header: 64,
    phoff: 32,
    shoff: 40,
    counts: 54,
    program: { offset: 8, size: 32 },
    section: { offset: 24, size: 32 },
  },
} as const;

/** Numbers of a file in its own byte order and word size. */
class Reader {
  readonly bits: 32 | 64;
  readonly #isLittle: boolean;
  constructor(header: Buffer) {
    this.bits = header[4] === 1 ? 32 : 64;
    this.#isLittle = header[5] !== 2;
  }
  half(bytes: Buffer, at: number): number {
    return this.#isLittle ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
  }
  word(bytes: Buffer, at: number): number {
    return this.#isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
  }
  /** An offset or a size: four bytes or eight. */
  long(bytes: Buffer, at: number): number {
    if (this.bits === 32) return this.word(bytes, at);
    return Number(this.#isLittle ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  }
}

/** @returns undefined for what is no ELF file, or a damaged one */
export function readElf(readAt: ReadAt): Elf | undefined {
  const header = readAt(0, LAYOUT[64].header);
  if (header.length < LAYOUT[32].header || header.toString("latin1", 0, 4) !== MAGIC) return undefined;
  const reader = new Reader(header);
  try {
    const segments = tableOf(readAt, { reader, header, kind: "program" });
    const sections = sectionNames(readAt, { reader, header });
    const goNote = segments.some(
      ({ type, offset, size }) => type === PT_NOTE && isGoNote(readAt(offset, Math.min(size, 16))),
    );
    const isGo = goNote || [...sections.keys()].some((name) => name.endsWith(".gopclntab"));
    return {
      bits: reader.bits,
      machine: reader.half(header, 18),
      isDynamic: segments.some(({ type }) => type === PT_INTERP),
      go: isGo ? { version: goVersion(readAt, sections.get(".go.buildinfo")) } : undefined,
    };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

interface Part {
  /** Of a segment its type, of a section where its name stands. */
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

interface Where {
  readonly reader: Reader;
  readonly header: Buffer;
}

function tableOf(readAt: ReadAt, { reader, header, kind }: Where & { readonly kind: "program" | "section" }): Part[] {
  const layout = LAYOUT[reader.bits];
  const at = reader.long(header, kind === "program" ? layout.phoff : layout.shoff);
  const counts = layout.counts + (kind === "program" ? 0 : 4);
  const size = reader.half(header, counts);
  const count = Math.min(reader.half(header, counts + 2), HEADERS_MAX);
  if (at === 0 || size === 0 || size > ENTRY_BYTES_MAX) return [];
  const bytes = readAt(at, size * count);
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, index) => {
    const start = index * size;
    return {
      type: reader.word(bytes, start),
      offset: reader.long(bytes, start + layout[kind].offset),
      size: reader.long(bytes, start + layout[kind].size),
    };
  });
}

/** The sections by name; none where they were stripped. */
function sectionNames(readAt: ReadAt, where: Where): Map<string, Part> {
  const sections = tableOf(readAt, { ...where, kind: "section" });
  const layout = LAYOUT[where.reader.bits];
  const names = sections[where.reader.half(where.header, layout.counts + 8)];
  if (!names) return new Map();
  const text = readAt(names.offset, Math.min(names.size, TABLE_BYTES_MAX)).toString("latin1");
  return new Map(sections.map((section) => [text.slice(section.type, text.indexOf("\0", section.type)), section]));
}

/** An ELF note whose owner is "Go": the build id (cmd/internal/buildid). */
function isGoNote(note: Buffer): boolean {
  return note.toString("latin1", 12, 16) === "Go\0\0";
}

const BUILD_INFO_MAGIC = "\u00ff Go buildinf:";
/** Go 1.18 and newer write the version behind the header (debug/buildinfo). */
const INLINE_VERSION = 2;

function goVersion(readAt: ReadAt, section: Part | undefined): string | undefined {
  if (!section) return undefined;
  const info = readAt(section.offset, Math.min(section.size, 256));
  if (info.toString("latin1", 0, 14) !== BUILD_INFO_MAGIC || !(info.readUInt8(15) & INLINE_VERSION)) return undefined;
  const length = info.readUInt8(32);
  const version = info.toString("latin1", 33, 33 + length);
  return /^go\d/.test(version) ? version.split(" ")[0] : undefined;
}
