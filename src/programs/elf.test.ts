import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { MACHINE, type ReadAt, readElf } from "./elf.ts";

const of =
  (bytes: Buffer): ReadAt =>
  (position, length) =>
    bytes.subarray(position, position + length);

interface Made {
  readonly bits?: 32 | 64;
  readonly segments?: readonly number[];
  /** Owner of an ELF note. */
  readonly note?: string;
}

/** An ELF file with these program headers, and perhaps a note. */
function made({ bits = 64, segments = [], note }: Made): Buffer {
  const [header, size] = bits === 64 ? [64, 56] : [52, 32];
  const types = note === undefined ? segments : [...segments, 4];
  const bytes = Buffer.alloc(header + size * types.length + 64);
  bytes.write("\u007fELF", "latin1");
  bytes[4] = bits / 32;
  bytes[5] = 1;
  bytes.writeUInt16LE(183, 18);
  if (bits === 64) bytes.writeBigUInt64LE(BigInt(header), 32);
  else bytes.writeUInt32LE(header, 28);
  bytes.writeUInt16LE(size, bits === 64 ? 54 : 42);
  bytes.writeUInt16LE(types.length, bits === 64 ? 56 : 44);
  const noteAt = header + size * types.length;
  types.forEach((type, index) => {
    const start = header + size * index;
    bytes.writeUInt32LE(type, start);
    if (type === 4) {
      if (bits === 64) bytes.writeBigUInt64LE(BigInt(noteAt), start + 8);
      else bytes.writeUInt32LE(noteAt, start + 4);
      bytes.writeUInt32LE(16, start + (bits === 64 ? 32 : 16));
    }
  });
  if (note !== undefined) bytes.write(note, noteAt + 12, "latin1");
  return bytes;
}

test("linkage, bits and Go are read from the program headers", () => {
  const look = (what: Made) => readElf(of(made(what)));
  assert.deepEqual(look({ segments: [3, 1] }), { bits: 64, machine: 183, isDynamic: true, go: undefined });
  assert.deepEqual(look({ segments: [1] }), { bits: 64, machine: 183, isDynamic: false, go: undefined });
  assert.deepEqual(look({ bits: 32, segments: [3] }), { bits: 32, machine: 183, isDynamic: true, go: undefined });
  for (const bits of [32, 64] as const) assert.deepEqual(look({ bits, note: "Go\0\0" })?.go, { version: undefined });
  assert.equal(look({ note: "GNU\0" })?.go, undefined);
});

test("what is no ELF file is none", () => {
  for (const text of ["", "#!/bin/sh\n", "\u007fELF", "\u007fELF\u0002\u0001"])
    assert.equal(readElf(of(Buffer.from(text, "latin1"))), undefined, JSON.stringify(text));
});

test("real ones: Node is dynamic, esbuild is made by Go", () => {
  const node = readElf(of(readFileSync(process.execPath)));
  assert.deepEqual(node, { bits: 64, machine: MACHINE[process.arch], isDynamic: true, go: undefined });
  const own = createRequire(import.meta.url).resolve("esbuild/package.json");
  const esbuild = join(dirname(own), "..", "@esbuild", `linux-${process.arch}`, "bin", "esbuild");
  assert.ok(readElf(of(readFileSync(esbuild)))?.go, "Go");
});

test("any bytes give a value or nothing, however damaged", () => {
  const whole = made({ segments: [3, 1], note: "Go\0\0" });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(whole.length), fc.nat(whole.length), (noise, at, length) => {
      const bytes = Buffer.from(whole);
      bytes.set(noise.subarray(0, Math.max(0, bytes.length - at)), at);
      const found = readElf(of(bytes.subarray(0, length)));
      assert.ok(found === undefined || typeof found.isDynamic === "boolean");
    }),
    { numRuns: 2000 },
  );
});
