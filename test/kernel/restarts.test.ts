import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { describe } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type TrafficConnection, transfer } from "../../src/lab/index.ts";
import { Random } from "../../src/sim/index.ts";
import type { Millis } from "../../src/types/index.ts";
import { DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import type { PathManager } from "./host-support.ts";
import { connected, inWorld, portsOf, type World, within } from "./outage-support.ts";
import { kernelTest } from "./support.ts";
import { tablesOf } from "./tables.ts";

const SOAK = process.env.SOAK !== undefined;
const ROUNDS = Number(process.env.ROUNDS ?? (SOAK ? 1000 : 20));
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 32);

/** Both sides send, without a pause that anybody would notice, until it is told to stop. */
class Traffic {
  readonly #connection: TrafficConnection;
  readonly #over: Promise<void>;
  #isStopping = false;
  /** Exchanges so far. */
  beats = 0;

  constructor(connection: TrafficConnection) {
    this.#connection = connection;
    this.#over = this.#run();
    this.#over.catch(() => undefined); // stop() tells
  }

  /** Rejects when the connection broke, hung, or data did not arrive as sent. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#over;
  }

  /** Resolves after so many more exchanges. */
  async flows(world: World, beats: number): Promise<void> {
    const goal = this.beats + beats;
    await world.lab.waitFor(() => this.beats >= goal, DEADLINE, "traffic");
  }

  async #run(): Promise<void> {
    const { client, server } = this.#connection;
    while (!this.#isStopping) {
      const reports = await within(
        DEADLINE,
        Promise.all([transfer(client, server, 8000), transfer(server, client, 8000)]),
      );
      assert.ok(reports.every(({ isIntact }) => isIntact));
      this.beats++;
      await sleep(2);
    }
  }
}

interface Round {
  readonly world: World;
  readonly traffic: Traffic;
  readonly daemon: DaemonProcess;
  readonly nth: number;
  start(): Promise<DaemonProcess>;
}

/** Every so many pauses one has this length in the soak; what is queued for the daemon meanwhile is read afterwards. */
const LONG_PAUSE: Millis = 60_000;
const LONG_EVERY = 100;

const KINDS = {
  "SIGTERM and start": async ({ daemon, start, world, traffic }) => {
    assert.equal(await daemon.end(), 0, daemon.log);
    await traffic.flows(world, 1);
    return start();
  },
  "kill -9 and start": async ({ daemon, start, world, traffic }) => {
    await daemon.end("SIGKILL");
    await traffic.flows(world, 1);
    return start();
  },
  "SIGSTOP and SIGCONT": async ({ daemon, world, traffic, nth }) => {
    daemon.signal("SIGSTOP");
    if (SOAK && nth % LONG_EVERY === 1) await sleep(LONG_PAUSE);
    await traffic.flows(world, 5);
    daemon.signal("SIGCONT");
    return daemon.ready();
  },
} satisfies Record<string, (round: Round) => Promise<DaemonProcess>>;
type Kind = keyof typeof KINDS;

async function play(world: World, pathManager: PathManager, context: TestContext): Promise<void> {
  const { lab, client } = world;
  const without = await tablesOf(client, pathManager);
  const start = () => DaemonProcess.start(lab, client, "--path-manager", pathManager);
  let daemon = await start();
  const connection = await connected(world, pathManager);
  const traffic = new Traffic(connection);
  const [ports, during] = [portsOf(client), await tablesOf(client, pathManager)];
  const random = new Random(SEED);
  const counts = new Map<Kind, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const kind = random.pick(Object.keys(KINDS) as Kind[]);
    const nth = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, nth);
    daemon = await KINDS[kind]({ world, traffic, daemon, nth, start });
    const what = `round ${round}, ${kind}, seed ${SEED}\n${daemon.log}`;
    assert.deepEqual(portsOf(client), ports, `subflows after ${what}`);
    assert.deepEqual(await tablesOf(client, pathManager), during, `tables after ${what}`);
  }
  await traffic.stop();
  connection.destroy();
  await lab.waitFor(() => pathsOf(client).length === 0, DEADLINE, "the end of the connection");
  assert.equal(await daemon.end(), 0, daemon.log);
  assert.deepEqual(await tablesOf(client, pathManager), without, "nothing is left over");
  const played = [...counts].map(([kind, count]) => `${kind} ${count}`).join(", ");
  context.diagnostic(`seed ${SEED}: ${played}; ${traffic.beats} exchanges`);
}

describe("stopped, killed, upgraded, paused under traffic: no subflow lost, none twice", { concurrency: 2 }, () => {
  for (const pathManager of ["kernel", "userspace"] as const) {
    kernelTest(`${ROUNDS} rounds, ${pathManager} path manager`, (context) =>
      inWorld(2, (world) => play(world, pathManager, context)),
    );
  }
});
