/**
 * What the black box costs: to note an entry, to encode it, its bytes, to play it; and, with `npm run bench -- recording [connections each]
 * [connections a block]` as root, the added delay of the second subflow and processor time of the daemon, with it and without, in turns; 0: not.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BlackBox } from "../src/daemon/black-box/black-box.ts";
import { type Action, Engine, type EngineEvent } from "../src/engine/index.ts";
import { policies } from "../src/policies/index.ts";
import { type Entry, Player, RecordingReader, RecordingWriter } from "../src/recording/index.ts";
import { type Address, ENDPOINT_FLAG, type Path } from "../src/types/index.ts";
import { Joins } from "./_joins.ts";
import { Programs } from "./_programs.ts";
import { printMachine, printTable, processorTime, quantile } from "./_support.ts";
import { FIXED, makeWorld, SERVER, type World } from "./_world.ts";

const COUNT = Number(process.argv[2] ?? 1000);
const BLOCK = Number(process.argv[3] ?? 250);
const LIVES = 20_000;

const end = (address: string, port: number) => ({ address: address as Address, port });

/** Lives of connections with a second subflow, one after the other, as the engine hears of them. */
function entries(): Entry[] {
  const engine = new Engine({ policies });
  const all: Entry[] = [];
  let now = 0;
  const tell = (event: EngineEvent): readonly Action[] => {
    now += 0.125;
    const actions = engine.handle(event, now);
    all.push({ type: "event", at: now, event, actions });
    return actions;
  };
  const endpoints = [{ address: "10.0.2.1" as Address, flags: ENDPOINT_FLAG.subflow }];
  tell({ type: "config.changed", policy: "resilient", endpoints, limits: { subflows: 8, addAddrAccepted: 8 } });
  for (let n = 1; n <= LIVES; n++) {
    const token = Math.imul(n, 2654435761) >>> 0;
    const remote = `192.0.${(n >> 8) & 255}.${n & 255}`;
    const path: Path = { local: end("10.0.1.1", 10_000 + (n % 50_000)), remote: end(remote, 443) };
    tell({ type: "connection.created", token, side: "client", path, denyJoinId0: false });
    const asked = tell({ type: "connection.established", token, side: "client", path, denyJoinId0: false });
    for (const action of asked) tell({ type: "action.done", action });
    const second = { local: end("10.0.2.1", 10_000 + ((n * 7) % 50_000)), remote: end(remote, 443) };
    tell({ type: "subflow.established", token, path: second, localId: 1, remoteId: 0, backup: false });
    tell({ type: "connection.closed", token });
  }
  return all;
}

const BEGIN = {
  ...{ type: "begin", at: 0, epoch: 0, life: "a", part: 0, before: 0, version: "1", kernel: "6.18" },
  ...{ pathManager: "userspace", engine: { setUp: [] } },
} as const satisfies Entry;

/** The best of some rounds, in nanoseconds each of `count`. */
function best(count: number, work: () => void): number {
  const times = Array.from({ length: 7 }, () => {
    const start = process.hrtime.bigint();
    work();
    return Number(process.hrtime.bigint() - start) / count;
  });
  return Math.min(...times);
}

function micro(): void {
  const all = entries();
  const directory = mkdtempSync(join(tmpdir(), "subflow-bench-recording-"));
  const capacity = { endpoints: 8, limit: 8, laminar: true };
  const saved = { owned: [], foreign: undefined, sysctls: {}, limits: undefined, table: undefined };
  const few = all.slice(0, 15_000) as Extract<Entry, { type: "event" }>[];
  const note = best(few.length, () => {
    // Never opened: what is noted waits.
    const box = new BlackBox({
      ...{
        now: () => 0,
        timeOfDay: () => 0,
        log: { info: () => undefined, warn: () => undefined } as never,
        directory,
      },
      about: { life: "a", version: "1", kernel: "6.18", pathManager: "userspace" },
      host: () => ({ saved, afterCrash: false, yielded: [], capacity, closesSubflows: false, sysctls: [] }),
      ...{ table: () => ({}), tokens: () => [], connection: () => undefined },
    });
    box.configure(16_000_000);
    for (const { event, actions, at } of few) box.event(event, actions, at);
  });
  rmSync(directory, { recursive: true });
  let frames: Uint8Array[] = [];
  const encode = best(all.length, () => {
    const writer = new RecordingWriter();
    frames = [];
    writer.begin(BEGIN);
    for (const entry of all) {
      writer.add(entry);
      if (writer.size >= 65_536) frames.push(writer.take() as Uint8Array);
    }
    frames.push(writer.take() ?? new Uint8Array());
  });
  const bytes = Buffer.concat(frames);
  const play = best(all.length, () => {
    const player = new Player();
    const reader = new RecordingReader();
    for (const entry of reader.push(bytes)) player.play(entry);
    if (player.played.differences > 0 || player.played.events !== all.length) throw new Error("it does not play");
  });
  const text = Buffer.byteLength(all.map((entry) => JSON.stringify(entry)).join("\n"));
  console.log(`\n${all.length} events of ${LIVES} connections, with what they led to`);
  console.log(`to note an event (on the way to its command)   ${note.toFixed(0).padStart(6)} ns`);
  console.log(`to encode it (when there is time)              ${encode.toFixed(0).padStart(6)} ns`);
  console.log(
    `bytes an event (as JSON: ${(text / all.length).toFixed(0)})                     ${(bytes.length / all.length).toFixed(1).padStart(6)}`,
  );
  console.log(`to read, play and compare it                   ${play.toFixed(0).padStart(6)} ns`);
}

interface Side {
  readonly name: string;
  readonly world: World;
  readonly joins: Joins;
  used: number;
  elapsed: number;
}

async function macro(): Promise<void> {
  using programs = new Programs();
  process.env.SUBFLOW_STATE_DIRECTORY = programs.directory;
  const sides: Side[] = [];
  try {
    for (const [name, size] of [
      ["off", "off"],
      ["on", "16MB"],
    ] as const) {
      const world = await makeWorld("subflow", programs, [...FIXED, `black_box: ${size}`]);
      const joins = await Joins.start(world.client, join(programs.directory, `${name}.pcap`));
      sides.push({ name, world, joins, used: 0, elapsed: 0 });
    }
    for (let done = 0; done < COUNT; done += BLOCK) {
      for (const each of sides) {
        const pid = each.world.process?.pid ?? 0;
        const [start, before] = [performance.now(), processorTime(pid)];
        const words = [programs.program("traffic"), "series", ...SERVER, String(Math.min(BLOCK, COUNT - done))];
        await once(each.world.client.spawn(words, { stdio: ["ignore", "ignore", "inherit"] }), "exit");
        each.elapsed += performance.now() - start;
        each.used += processorTime(pid) - before;
      }
    }
    const rows = await Promise.all(sides.map(async ({ name, joins }) => ({ name, values: await joins.delays() })));
    printTable("MP_CAPABLE SYN -> MP_JOIN SYN", "us", rows);
    const ratio = (q: number): string =>
      (quantile(rows[1]?.values ?? [], q) / quantile(rows[0]?.values ?? [], q)).toFixed(3);
    console.log(`on / off: p50 ${ratio(0.5)}, p99 ${ratio(0.99)}`);
    for (const { name, used, elapsed } of sides)
      console.log(`${name}: the daemon had ${((100 * used) / elapsed).toFixed(1)} % of a processor in its turns`);
  } finally {
    for (const each of sides) {
      await each.joins[Symbol.asyncDispose]();
      await each.world[Symbol.asyncDispose]();
    }
  }
}

printMachine();
micro();
if (COUNT > 0) await macro();
