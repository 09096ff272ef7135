import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Action, EngineEvent } from "../engine/index.ts";
import type { Address } from "../types/index.ts";
import type { Beginning, Entry } from "./entry.ts";
import { RecordingError } from "./error.ts";
import { crc32, FRAME_HEAD, FRAME_MAX, frame } from "./frame.ts";
import { Player } from "./player.ts";
import { type Damage, RecordingReader } from "./reader.ts";
import { RecordingWriter } from "./writer.ts";

const BEGIN: Beginning = {
  ...{ type: "begin", at: 1.25, epoch: 1_700_000_000_000, life: "a", part: 0, before: 0, version: "1", kernel: "6.18" },
  ...{ pathManager: "userspace", engine: { setUp: [] } },
};
const TICK: Entry = { type: "event", at: 2.001, event: { type: "tick" }, actions: [] };
const CREATE: Action = {
  ...{ id: 1, type: "subflow.create", token: 0xfedc_ba98, localId: 1, remoteId: 0, interfaceIndex: 0, backup: false },
  local: { address: "10.0.2.1" as Address, port: 0 },
  remote: { address: "10.0.1.2" as Address, port: 443 },
};
const event = (at: number, told: EngineEvent, actions: readonly Action[] = []): Entry => ({
  ...{ type: "event", at, event: told, actions },
});
const SOME: readonly Entry[] = [
  BEGIN,
  TICK,
  event(Math.PI, { type: "tick" }, [CREATE]),
  event(4, { type: "action.done", action: CREATE }),
  event(4, { type: "action.failed", action: CREATE, errno: 111, message: "" }),
  {
    ...{
      type: "fact",
      at: 5,
      recovers: true,
      sysctls: [
        ["net.a", "1"],
        ["net.b", undefined],
      ],
      actions: [],
    },
    fact: { type: "network", network: { ...{ links: [], addresses: [], routes: [], rules: [] }, sysctls: new Map() } },
  },
  event(8, { type: "host.signals", signals: new Map([["10.0.2.1" as Address, -84]]) }),
  { type: "lost", at: 9, entries: 3 },
];

/** Each entry in a frame of its own. */
function framesOf(entries: readonly Entry[]): Uint8Array[] {
  const writer = new RecordingWriter();
  return entries.map((entry) => {
    if (entry.type === "begin") writer.begin(entry);
    else writer.add(entry);
    return writer.take()!;
  });
}

function read(bytes: Uint8Array, piece = bytes.length): (Entry | Damage)[] {
  const reader = new RecordingReader();
  const entries: (Entry | Damage)[] = [];
  for (let at = 0; at < bytes.length; at += piece) entries.push(...reader.push(bytes.subarray(at, at + piece)));
  return [...entries, ...reader.end()];
}

const bytesOf = (entries: readonly Entry[]): Uint8Array => Buffer.concat(framesOf(entries));

describe("a recording", () => {
  test("says what was written", () => {
    const entries = read(bytesOf(SOME));
    assert.deepEqual(JSON.parse(JSON.stringify(entries)), JSON.parse(JSON.stringify(SOME)));
    assert.equal((entries[2] as { at: number }).at, Math.PI, "a time that is no whole number of microseconds");
  });

  test("is the same in whatever pieces it comes", () => {
    const bytes = bytesOf(SOME);
    const whole = read(bytes);
    for (let piece = 1; piece < 64; piece++) assert.deepEqual(read(bytes, piece), whole, `pieces of ${piece}`);
  });

  test("cut off at any byte plays as far as its frames are whole", () => {
    const frames = framesOf(SOME);
    const bytes = Buffer.concat(frames);
    const whole = read(bytes);
    for (let length = 1; length < bytes.length; length++) {
      let [isWhole, end] = [0, 0];
      while (end + frames[isWhole]!.length <= length) end += frames[isWhole++]!.length;
      const found = read(bytes.subarray(0, length));
      const damages = found.filter(({ type }) => type === "damage");
      assert.deepEqual(found.slice(0, isWhole), whole.slice(0, isWhole), `${length} bytes`);
      assert.equal(found.length, isWhole + damages.length);
      assert.equal(damages.length, end === length ? 0 : 1, `${length} bytes`);
      const player = new Player();
      for (const entry of found) player.play(entry);
    }
  });

  test("spoilt at any byte says so, and plays from the next beginning on", () => {
    const frames = framesOf([BEGIN, TICK, TICK, { ...BEGIN, life: "b" }, TICK]);
    const bytes = Buffer.concat(frames);
    const second = frames.slice(0, 3).reduce((sum, each) => sum + each.length, 0);
    for (let at = 4; at < second; at++) {
      const spoilt = Buffer.from(bytes);
      spoilt[at] = spoilt[at]! ^ 0x10;
      const found = read(spoilt);
      assert.ok(
        found.some(({ type }) => type === "damage"),
        `byte ${at}`,
      );
      assert.deepEqual(
        found.slice(-2).map(({ type }) => type),
        ["begin", "event"],
        `byte ${at}`,
      );
    }
  });

  test("recordings behind each other are one", () => {
    assert.deepEqual(read(Buffer.concat([bytesOf(SOME), bytesOf(SOME)])), [
      ...read(bytesOf(SOME)),
      ...read(bytesOf(SOME)),
    ]);
  });

  test("what is none, or of another format, is refused with what to do", () => {
    assert.throws(() => read(Buffer.from("PK\x03\x04 something else")), /it is no recording of Subflow/);
    const other = bytesOf(SOME);
    other[3] = 9;
    assert.throws(() => read(other), /recording of format 9, and this Subflow reads format 1/);
    assert.deepEqual(read(new Uint8Array()), []);
  });

  test("a length that lies is damage, and asks for no memory", () => {
    const bytes = bytesOf(SOME);
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(5, 0xffff_fff0, true);
    assert.ok(read(bytes).some(({ type }) => type === "damage"));
  });

  test("any bytes behind a good beginning are entries or damage", () => {
    const good = framesOf([BEGIN])[0]!;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        for (const entry of read(Buffer.concat([good, frame("more", bytes), bytes])))
          assert.ok(typeof entry.type === "string");
      }),
    );
  });

  test("values that no daemon writes are refused when they are played, not taken", () => {
    const player = new Player();
    player.play(BEGIN);
    const nonsense = { type: "connection.established", token: 1 } as unknown as EngineEvent;
    assert.throws(() => player.play(event(3, nonsense)), RecordingError);
  });

  test("an entry too large for a frame is left out, and the next is read", () => {
    const writer = new RecordingWriter();
    writer.begin(BEGIN);
    const huge = { type: "say", level: "info", text: "x".repeat(FRAME_MAX + 1) } as const;
    assert.equal(
      writer.add({ type: "fact", at: 2, fact: { type: "tick" }, actions: [huge], recovers: true, sysctls: [] }),
      false,
    );
    assert.ok(writer.add(TICK));
    const entries = read(writer.take()!);
    assert.deepEqual(
      entries.map(({ type }) => type),
      ["begin", "event"],
    );
  });

  test("so is what no value is made of, and what is too deep", () => {
    const deep = (depth: number): unknown => (depth === 0 ? 1 : [deep(depth - 1)]);
    for (const memory of [() => 1, deep(1000), deep(100_000 / 20)]) {
      const writer = new RecordingWriter();
      writer.begin(BEGIN);
      const odd = { ...{ type: "policy.planned", token: 1, version: 1, fault: "" }, plan: { memory } } as unknown;
      assert.equal(writer.add(event(2, odd as EngineEvent)), false);
      assert.ok(writer.add(TICK));
      assert.deepEqual(
        read(writer.take()!).map(({ type }) => type),
        ["begin", "event"],
      );
    }
  });

  test("checksums are those of zlib", () => {
    assert.equal(crc32(Buffer.from("123456789")), 0xcbf43926);
    assert.equal(crc32(Buffer.from("6789"), crc32(Buffer.from("12345"))), 0xcbf43926);
    assert.equal(frame("more", new Uint8Array(3)).length, FRAME_HEAD + 3);
  });
});

describe("a part", () => {
  const part = (number: number, life = "a", before = number): Beginning => ({ ...BEGIN, part: number, life, before });
  const livesOf = (entries: readonly (Entry | Damage)[]): number => {
    const player = new Player();
    for (const entry of entries) player.play(entry);
    return player.played.lives;
  };
  test("that goes on where the last ended is of the same life", () =>
    assert.equal(livesOf([part(0), TICK, part(1), TICK]), 1));
  test("with another missing before it is not", () => assert.equal(livesOf([part(0), TICK, part(2), TICK]), 2));
  test("behind what was lost is not", () =>
    assert.equal(livesOf([part(0), { type: "lost", at: 3, entries: 1 }, part(1), TICK]), 2));
  test("before which something is missing is not", () =>
    assert.equal(livesOf([part(0), TICK, part(1, "a", 2), TICK]), 2));
  test("of another life is not", () => assert.equal(livesOf([part(0), part(1, "b")]), 2));
});
