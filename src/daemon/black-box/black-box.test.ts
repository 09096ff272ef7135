import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { type Action, Engine, type EngineEvent } from "../../engine/index.ts";
import { policies } from "../../policies/index.ts";
import { type Damage, type Entry, Player, RecordingReader } from "../../recording/index.ts";
import { type Address, ENDPOINT_FLAG, type Path } from "../../types/index.ts";
import { BlackBox } from "./black-box.ts";
import { segmentsIn } from "./ring.ts";

const SIZE = 64_000;

class World {
  readonly directory: string;
  readonly said: string[] = [];
  readonly engine = new Engine({ policies });
  readonly box: BlackBox;
  time = 0;

  constructor(context: TestContext, before: (directory: string) => void = () => undefined) {
    const parent = mkdtempSync(join(tmpdir(), "subflow-black-box-"));
    this.directory = join(parent, "black-box");
    before(this.directory);
    const say = (text: unknown): void => void this.said.push(String(text));
    const capacity = { endpoints: 8, limit: 8, laminar: true };
    const saved = { owned: [], foreign: undefined, sysctls: {}, limits: undefined, table: undefined };
    this.box = new BlackBox({
      now: () => this.time,
      timeOfDay: () => 1e12 + this.time,
      log: { info: say, warn: say } as never,
      directory: this.directory,
      about: { life: "a", version: "1", kernel: "6.18", pathManager: "userspace" },
      host: () => ({ saved, afterCrash: false, yielded: [], capacity, closesSubflows: false, sysctls: [] }),
      table: () => ({ endpoints: this.engine.endpoints(), limits: this.engine.limits() }),
      tokens: () => this.engine.tokens,
      connection: (token) => this.engine.connection(token),
    });
    context.after(() => {
      this.box[Symbol.dispose]();
      rmSync(parent, { recursive: true, force: true });
    });
  }

  tell(event: EngineEvent): readonly Action[] {
    const now = ++this.time;
    const actions = this.engine.handle(event, now);
    this.box.event(event, actions, now);
    return actions;
  }

  /** A connection with a second subflow. */
  begin(token: number): void {
    const path: Path = { local: end("10.0.1.1", 40_000), remote: end("10.0.1.2", 443) };
    for (const type of ["connection.created", "connection.established"] as const) {
      for (const action of this.tell({ type, token, side: "client", path, denyJoinId0: false }))
        this.tell({ type: "action.done", action });
    }
    const second = { local: end("10.0.2.1", 50_000), remote: end("10.0.1.2", 443) };
    this.tell({ type: "subflow.established", token, path: second, localId: 2, remoteId: 0, backup: false });
  }

  configure(): void {
    const endpoints = [{ address: "10.0.2.1" as Address, flags: ENDPOINT_FLAG.subflow }];
    this.tell({ type: "config.changed", policy: "resilient", endpoints, limits: { subflows: 8, addAddrAccepted: 8 } });
  }

  /** What can be read now, of some of the files. */
  async entries(choose: (files: string[]) => string[] = (files) => files): Promise<(Entry | Damage)[]> {
    await this.box.written();
    return choose(segmentsIn(this.directory)).flatMap((file) => {
      const reader = new RecordingReader();
      return [...reader.push(readFileSync(file)), ...reader.end()];
    });
  }

  get bytes(): number {
    return segmentsIn(this.directory).reduce((sum, file) => sum + statSync(file).size, 0);
  }
}

const end = (address: string, port: number) => ({ address: address as Address, port });

function play(entries: readonly (Entry | Damage)[]): Player {
  const player = new Player({ onDifference: ({ isUnsure, ...rest }) => assert.ok(isUnsure, JSON.stringify(rest)) });
  for (const entry of entries) player.play(entry);
  return player;
}

describe("the black box", () => {
  test("holds what was noted, for its owner and group alone, and plays", async (context) => {
    const world = new World(context);
    world.box.configure(SIZE);
    world.configure();
    assert.ok(!existsSync(world.directory), "nothing is written before it is opened");
    world.box.open();
    world.begin(1);
    const entries = await world.entries();
    assert.equal(play(entries).played.events, world.engine.snapshot().counters.events);
    assert.equal(statSync(world.directory).mode & 0o777, 0o750);
    for (const file of segmentsIn(world.directory)) assert.equal(statSync(file).mode & 0o777, 0o640);
    assert.deepEqual(world.box.troubles, []);
  });

  test("whatever the umask is, and whoever made the directory, its group may look", async (context) => {
    const before = process.umask(0o077);
    context.after(() => process.umask(before));
    const world = new World(context, (directory) => mkdirSync(directory, { mode: 0o700 }));
    world.box.configure(SIZE);
    world.box.open();
    await world.box.written();
    assert.equal(statSync(world.directory).mode & 0o777, 0o750);
    for (const file of segmentsIn(world.directory)) assert.equal(statSync(file).mode & 0o777, 0o640);
  });

  test("masked it holds no address, says so, and plays to the same actions", async (context) => {
    const world = new World(context);
    world.box.configure(SIZE, true);
    world.configure();
    world.box.open();
    world.begin(1);
    const entries = await world.entries();
    const told = JSON.stringify(entries);
    for (const address of ["10.0.1.1", "10.0.1.2", "10.0.2.1"]) assert.ok(!told.includes(address), told);
    for (const file of segmentsIn(world.directory)) assert.doesNotMatch(readFileSync(file, "latin1"), /10\.0\.[12]\./);
    const player = play(entries);
    assert.equal(player.played.differences, 0);
    assert.ok(player.played.actions > 0);
    assert.equal(player.life!.beginning.isMasked, true);
    // From here on as they are: it is another part, which does not go on where the masked one ended.
    world.box.configure(SIZE);
    world.begin(2);
    const later = play(await world.entries());
    assert.deepEqual([later.played.lives, later.life!.beginning.isMasked], [2, undefined]);
    assert.equal(later.life!.engine!.connection(2)?.subflows[0]?.path.local.address, "10.0.1.1");
  });

  test("takes no more than it may, and each file that is left plays by itself", async (context) => {
    const world = new World(context);
    world.box.configure(SIZE);
    world.configure();
    world.box.open();
    for (let token = 1; token <= 3000; token++) {
      world.begin(token);
      if (token > 20) world.tell({ type: "connection.closed", token: token - 20 });
      if (token % 20 === 0) await world.box.written();
    }
    await world.box.written();
    assert.ok(world.box.use!.written > 3 * SIZE, "it went round");
    assert.ok(world.bytes <= SIZE * 1.25, `${world.bytes} bytes`);
    const all = await world.entries();
    const player = play(all);
    assert.equal(player.played.lives, 1, "the parts go on where the last ended");
    assert.equal(player.played.damages + player.played.lost, 0);
    const last = play(await world.entries((files) => files.slice(-1)));
    assert.equal(last.played.lives, 1);
    assert.ok(last.life!.engine!.tokens.length >= 20, "what was there before is known");
    assert.equal(last.life!.engine!.policy, "resilient");
    assert.deepEqual(last.life!.engine!.endpoints(), world.engine.endpoints());
  });

  test("another daemon goes on behind what is there", async (context) => {
    const world = new World(context, (directory) => {
      mkdirSync(directory, { mode: 0o700 });
      writeFileSync(join(directory, "00000041.rec"), "");
      writeFileSync(join(directory, "something else"), "");
    });
    world.box.configure(SIZE);
    world.box.open();
    await world.box.written();
    assert.deepEqual(readdirSync(world.directory), ["00000041.rec", "00000042.rec", "something else"]);
  });

  test("where nothing can be written that is said once, and nothing throws", async (context) => {
    const world = new World(context, (directory) => writeFileSync(directory, "a file"));
    world.box.configure(SIZE);
    world.box.open();
    for (let token = 1; token < 100; token++) {
      world.begin(token);
      await world.box.written();
    }
    assert.match(world.box.troubles.join(), /^the black box cannot be written: EEXIST|ENOTDIR/);
    assert.equal(world.said.length, 1, world.said.join("\n"));
    rmSync(world.directory);
    world.time += 60_000;
    world.begin(200);
    await world.box.written();
    world.begin(201);
    await world.box.written();
    world.begin(202);
    await world.box.written();
    assert.deepEqual(world.box.troubles, []);
    assert.match(world.said.at(-1) ?? "", /is written again/);
    assert.ok(world.box.use!.lost > 0, "and what is missing is counted");
    play(await world.entries());
  });

  test("a directory that others can write is not ours", async (context) => {
    const world = new World(context, (directory) => {
      mkdirSync(directory);
      chmodSync(directory, 0o777);
    });
    world.box.configure(SIZE);
    world.box.open();
    world.begin(1);
    await world.box.written();
    await world.box.written();
    assert.match(world.box.troubles.join(), /can be written by others/);
    assert.deepEqual(readdirSync(world.directory), []);
  });

  test("what comes faster than it is encoded is lost, counted, and the next part plays", async (context) => {
    const world = new World(context);
    world.box.configure(SIZE * 100);
    world.configure();
    world.box.open();
    for (let count = 0; count < 30_000; count++) world.tell({ type: "tick" });
    await world.box.written();
    assert.ok(world.box.use!.lost >= 9000, `${world.box.use!.lost}`);
    world.begin(1);
    const player = play(await world.entries());
    assert.equal(player.played.lives, 2);
    assert.ok(player.life!.engine!.connection(1));
  });

  test("off it writes nothing; on again it begins in the middle", async (context) => {
    const world = new World(context);
    world.box.configure(undefined);
    world.box.open();
    world.configure();
    world.begin(1);
    assert.equal(await world.box.written(), undefined);
    assert.equal(world.box.use, undefined);
    assert.ok(!existsSync(world.directory));
    world.box.configure(SIZE);
    world.begin(2);
    const player = play(await world.entries());
    assert.ok(player.life!.engine!.connection(2), "and what came later is whole");
  });
});
