import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, loadConfig } from "../../src/config/index.ts";
import { checkRequest } from "../../src/control/index.ts";
import { NESTING_MAX, parseJson } from "../../src/control/json.ts";
import { policies } from "../../src/policies/index.ts";
import { readElf } from "../../src/programs/index.ts";
import { FRAME_HEAD, frame } from "../../src/recording/frame.ts";
import { Player, RecordingError, RecordingReader, RecordingWriter } from "../../src/recording/index.ts";
import { simulate } from "../../src/sim/index.ts";
import * as wire from "../../src/wire/index.ts";
import { CAPTURED } from "../captured/linux-6.18.ts";
import { engineTarget } from "./engine-target.ts";

/** Something that takes bytes of others, or what stands for them. */
export interface Target {
  /** Throws where it did what it never may. @returns how many messages that was */
  readonly run: (bytes: Uint8Array) => number;
  /** What to begin with. */
  readonly seeds: readonly Uint8Array[];
  /** What means something in its language. */
  readonly words: readonly string[];
}

const header = (to: number) => ({ type: 16, flags: 0x300, sequence: 0, port: 0, from: 1, to });
type Decoder = (bytes: Uint8Array) => unknown;

/** Every decoder that meets bytes of the kernel; the first byte of an input says which. */
const DECODERS: readonly Decoder[] = [
  (bytes) => wire.decodeEvent(bytes, header(bytes.length)),
  (bytes) => wire.decodeEndpoint(bytes, header(bytes.length)),
  (bytes) => wire.decodeLimits(bytes, header(bytes.length)),
  (bytes) => wire.decodeFamily(bytes, header(bytes.length)),
  (bytes) => wire.decodeLink(bytes, header(bytes.length)),
  (bytes) => wire.decodeLinkBytes(bytes, header(bytes.length)),
  (bytes) => wire.decodeInterfaceAddress(bytes, header(bytes.length)),
  (bytes) => wire.decodeRoute(bytes, header(bytes.length)),
  (bytes) => wire.decodeRouteHead(bytes, header(bytes.length)),
  (bytes) => wire.decodeRule(bytes, header(bytes.length)),
  (bytes) => wire.decodeDiagSocket(bytes, header(bytes.length), wire.IPPROTO.MPTCP),
  (bytes) => wire.decodeDiagSocket(bytes, header(bytes.length), wire.IPPROTO.TCP),
  (bytes) => wire.decodeAcknowledgement(bytes, { ...header(bytes.length), type: 2 }),
  (bytes) => wire.eachMessage(bytes, 1, bytes.length, (each) => void wire.decodeRtnlEvent(bytes, each)),
];

function netlink(bytes: Uint8Array): number {
  const decoder = DECODERS[(bytes[0] ?? 0) % DECODERS.length];
  try {
    decoder?.(bytes);
  } catch (error) {
    if (!(error instanceof wire.CodecError)) throw error;
  }
  return 1;
}

/** JSON as V8 takes it, unless too deep; what passes is checked as a request is. */
function control(bytes: Uint8Array): number {
  const line = Buffer.from(bytes);
  const parsed = parseJson(line);
  if ("problem" in parsed) {
    assert.ok(parsed.offset >= 0 && parsed.offset <= line.length, "the fault is in the line");
    if (!parsed.problem.startsWith("not JSON")) return 1;
    assert.throws(() => JSON.parse(line.toString("utf8")), SyntaxError);
    return 1;
  }
  assert.deepEqual(parsed.value, JSON.parse(line.toString("utf8")));
  assert.ok(depth(parsed.value) <= NESTING_MAX);
  const { method, params = {} } = Object(parsed.value) as { method?: unknown; params?: unknown };
  const checked = checkRequest(String(method), params);
  if ("code" in checked)
    assert.ok(checked.message.length < 1000 && checked.message !== "", "a fault is said, and shortly");
  return 1;
}

function depth(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depth));
}

const MEMORY = "/dev/shm";
let folder: string | undefined;

/** A place for one file, in memory where there is such; gone with the process. */
function place(): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), "subflow-fuzz-"));
    process.on("exit", () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return join(folder, "subflow.yaml");
}

function config(bytes: Uint8Array): number {
  const file = place();
  writeFileSync(file, bytes);
  const lines = Buffer.from(bytes).toString("utf8").split("\n").length;
  try {
    loadConfig(file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    assert.ok(error.faults.length > 0);
    for (const { line, column, problem } of error.faults)
      assert.ok(line >= 1 && line <= lines && column >= 1 && problem !== "", `${line} of ${lines}: ${problem}`);
  }
  return 1;
}

/** What a short run leaves behind, without its frame. */
function recorded(seed: number): Uint8Array {
  const writer = new RecordingWriter();
  const about = {
    epoch: 0,
    life: "1",
    part: 0,
    before: 0,
    version: "1",
    kernel: "simulated",
    pathManager: "userspace",
  } as const;
  let lives = 0;
  simulate({
    seed,
    steps: 3,
    policies,
    observer: {
      onBegin: (at) => {
        if (lives++ === 0) writer.begin({ type: "begin", at, ...about, engine: { setUp: [] } });
      },
      onEvent: (event, actions, at) => void (lives === 1 && writer.add({ type: "event", at, event, actions })),
    },
  });
  return Buffer.concat([Uint8Array.of(1), (writer.take() ?? new Uint8Array()).subarray(FRAME_HEAD)]);
}

/** Read in two pieces, and played as far as it goes. Where the first byte is odd the rest gets a frame: chance finds no sum of it. */
function recording(input: Uint8Array): number {
  const bytes = ((input[0] ?? 0) & 1) === 1 ? frame("begin", input.subarray(1)) : input;
  const reader = new RecordingReader();
  const player = new Player();
  const half = (bytes[bytes.length - 1] ?? 0) % (bytes.length + 1);
  let entries = 0;
  try {
    for (const part of [reader.push(bytes.subarray(0, half)), reader.push(bytes.subarray(half)), reader.end()])
      for (const entry of part) {
        entries++;
        player.play(entry);
      }
  } catch (error) {
    if (!(error instanceof RecordingError)) throw error;
  }
  return Math.max(1, entries);
}

function elf(bytes: Uint8Array): number {
  const all = Buffer.from(bytes);
  readElf((offset, length) => all.subarray(offset, offset + length));
  return 1;
}

/** As little as is one: a header, and a program header. */
function smallElf(bits: 1 | 2): Uint8Array {
  const bytes = Buffer.alloc(160);
  bytes.write("7f454c46", 0, "hex");
  bytes.set([bits, 1, 1], 4);
  const is64 = bits === 2;
  const size = is64 ? 64 : 52;
  if (is64) bytes.writeBigUInt64LE(64n, 32);
  else bytes.writeUInt32LE(52, 28);
  bytes.writeUInt16LE(is64 ? 56 : 32, is64 ? 54 : 42);
  bytes.writeUInt16LE(1, is64 ? 56 : 44);
  bytes.writeUInt32LE(3, size);
  return bytes;
}

const text = (...lines: string[]) => lines.map((line) => Buffer.from(line));
const REQUEST = '{"v":1,"id":1,"method":"endpoint.add","params":{"address":"10.0.0.1","flags":1}}';
const captured = Object.values(CAPTURED).map((hex) => Buffer.from(hex, "hex"));

export const TARGETS: Readonly<Record<string, Target>> = {
  netlink: {
    run: netlink,
    seeds: captured.flatMap((bytes) => DECODERS.map((_, n) => Buffer.concat([Uint8Array.of(n), bytes]))),
    words: [],
  },
  control: {
    run: control,
    seeds: text(
      REQUEST,
      '{"v":1,"id":2,"method":"why","params":{"tokens":[1,2]}}',
      '{"v":1,"method":"watch","params":{"kinds":["event"],"pace":100}}',
    ),
    words: [
      "endpoint.delete",
      "policy.set",
      "limits.set",
      "history",
      '"params":',
      "null",
      "[",
      "]",
      "{",
      "}",
      '"',
      "\\u0000",
      "1e9",
      "-0",
      "é",
    ],
  },
  config: {
    run: config,
    seeds: text(
      "policy: { name: active-backup, hold_down: 10s }\nlimits: { subflows: 4 }\n",
      "endpoints:\n  - { address: 10.0.0.1, dev: eth0, flags: [subflow, backup], id: 3 }\n",
      "interfaces:\n  - { name: 'wlan*', role: primary, quota: { bytes: 1 GB, period: month } }\n",
      "rules:\n  - match: { remote_port: 22, user: 0 }\n    policy: standard\n    delay: { age: 300ms, bytes: 5000 }\n",
      "remote_addresses: { allow: [10.0.0.0/8], deny: [192.168.0.0/16] }\nautomatic: false\n",
    ),
    words: [
      "rules:",
      "match:",
      "endpoints:",
      "interfaces:",
      "policy:",
      "&a ",
      "*a",
      "<<: ",
      "!!int ",
      "? ",
      "- ",
      "|",
      "\n  ",
      ": ",
      "true",
      "10.0.0.1/33",
      "~",
    ],
  },
  recording: { run: recording, seeds: [recorded(1), recorded(2)], words: [] },
  engine: {
    run: engineTarget,
    seeds: [Uint8Array.of(0, 5, 1, 0, 0, 0, 1, 0, 1), Uint8Array.of(1, 2, 1, 1, 0, 0, 1, 0, 1)],
    words: [],
  },
  elf: { run: elf, seeds: [smallElf(1), smallElf(2)], words: ["Go", ".gopclntab", "/lib64/ld-linux-x86-64.so.2"] },
};
