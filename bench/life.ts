/**
 * A daemon's life, accelerated: links flap, addresses come and go, the configuration is read again, events overrun, the peer announces without end,
 * connections come in crowds, and in the last third the daemon is ended or killed now and then. Read every second, drawn as docs/life.svg: `npm run bench -- life [MINUTES] [SEED]`.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runtimeFiles } from "../src/control/index.ts";
import { type Service, type TrafficConnection, transfer } from "../src/lab/index.ts";
import { MptcpPm, Rtnl } from "../src/netlink/index.ts";
import { Random } from "../src/sim/index.ts";
import { ENDPOINT_FLAG, parseAddress } from "../src/types/index.ts";
import { connectionsOf, DaemonProcess } from "../test/kernel/daemon-support.ts";
import { connected, inWorld, type World } from "../test/kernel/outage-support.ts";
import { tablesOf } from "../test/kernel/tables.ts";
import { drawLife, type Reading } from "./_life.ts";
import { commit, printMachine } from "./_support.ts";

const MINUTES = Number(process.argv[2] ?? 10);
const SEED = Number(process.argv[3] ?? 1);
const OURS = 154;
const LANES = [
  { name: "RSS", unit: " MiB" },
  { name: "descriptors", unit: "" },
  { name: "threads", unit: "" },
  { name: "connections", unit: "" },
  { name: "largest address id", unit: "" },
  { name: "rules and routes of ours", unit: "" },
];

class Life {
  readonly world: World;
  readonly readings: Reading[] = [];
  readonly births: number[] = [];
  readonly counts = new Map<string, number>();
  readonly #start = performance.now();
  readonly random = new Random(SEED);
  daemon: DaemonProcess | undefined;
  /** Where crowds connect to. */
  service: Service | undefined;
  exchanges = 0;
  announced = 0;
  crowd = 0;

  constructor(world: World) {
    this.world = world;
  }

  get now(): number {
    return performance.now() - this.#start;
  }

  async begin(): Promise<void> {
    const { lab, client } = this.world;
    this.daemon = await DaemonProcess.start(lab, client, "--path-manager", "userspace");
    this.births.push(this.now);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const daemon = this.daemon;
    this.daemon = undefined;
    await daemon?.end(signal);
    await this.begin();
  }

  /** One more reading, by looking from outside. */
  async read(): Promise<void> {
    const { daemon, world } = this;
    const at = this.now;
    const hello = await daemon?.hello();
    if (daemon === undefined || hello === undefined || this.daemon !== daemon) {
      this.readings.push({ at, values: undefined });
      return;
    }
    const status = readFileSync(`/proc/${daemon.pid}/status`, "latin1");
    const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
    using rtnl = Rtnl.open({ netns: world.client.netns });
    const traces = [...rtnl.rules(), ...rtnl.routes()].filter(({ protocol }) => protocol === OURS).length;
    const ids = connectionsOf(world.client).flatMap(({ subflows }) => subflows.map(({ localId }) => localId));
    const descriptors = readdirSync(`/proc/${daemon.pid}/fd`).length;
    const values = [
      field("VmRSS") / 1024,
      descriptors,
      field("Threads"),
      hello.connections,
      Math.max(0, ...ids),
      traces,
    ];
    this.readings.push({ at, values });
  }
}

/** What happens, and how often in comparison. */
const ACTS: Readonly<Record<string, [number, (life: Life) => Promise<unknown>]>> = {
  "carrier lost and back": [
    6,
    async ({ world: { lab, client } }) => {
      await lab.link("eth2").loseCarrier(client);
      await sleep(200);
      await lab.link("eth2").up();
      await client.ip(["route replace default via 10.0.2.2 dev eth2 metric 200"]);
    },
  ],
  "address gone and back": [
    6,
    async ({ world: { lab, client } }) => {
      await lab.link("eth2").deleteAddress(client, "10.0.2.1/24");
      await sleep(150);
      await lab.link("eth2").addAddress(client, "10.0.2.1/24");
      await client.ip(["route replace default via 10.0.2.2 dev eth2 metric 200"]);
    },
  ],
  "path silent for 300 ms": [
    3,
    async ({ world: { lab } }) => {
      await lab.link("eth2").blackhole(true);
      await sleep(300);
      await lab.link("eth2").blackhole(false);
    },
  ],
  "configuration read again": [3, async ({ daemon }) => daemon?.signal("SIGHUP")],
  "crowd of 40 connections": [6, (life) => crowd(life, 40)],
  "stopped, with a crowd meanwhile": [
    2,
    async (life) => {
      life.daemon?.signal("SIGSTOP");
      await crowd(life, 60);
      life.daemon?.signal("SIGCONT");
    },
  ],
  "peer announces 50 addresses that lead nowhere": [4, announcements],
  "SIGTERM and start": [1, (life) => life.end("SIGTERM")],
  "kill -9 and start": [1, (life) => life.end("SIGKILL")],
};

async function crowd(life: Life, size: number): Promise<void> {
  const { client, server } = life.world;
  life.service ??= await server.listen({ address: "0.0.0.0" });
  const { service } = life;
  const all = await Promise.all(Array.from({ length: size }, () => service.connect(client.netns, { to: "10.0.1.2" })));
  await Promise.all(all.map(({ client: here, server: there }) => transfer(here, there, 2000)));
  for (const connection of all) connection.destroy();
  life.crowd += size;
}

async function announcements(life: Life): Promise<void> {
  using pm = MptcpPm.open({ netns: life.world.server.netns });
  for (let n = 0; n < 50; n++) {
    const address = parseAddress(`10.77.${life.random.below(256)}.${1 + life.random.below(254)}`)!;
    pm.addEndpoint({ address, id: 200, flags: ENDPOINT_FLAG.signal });
    pm.deleteEndpoint({ id: 200 });
    life.announced++;
    if (n % 10 === 0) await sleep(1);
  }
}

async function talk(life: Life, { client, server }: TrafficConnection, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const reports = await Promise.all([transfer(client, server, 4000), transfer(server, client, 4000)]);
    assert.ok(reports.every(({ isIntact }) => isIntact));
    life.exchanges++;
    await sleep(10);
  }
}

printMachine();
console.log(`${MINUTES} minutes, seed ${SEED}`);
await inWorld(2, async (world) => {
  const before = await tablesOf(world.client, "userspace");
  const life = new Life(world);
  await life.begin();
  const connection = await connected(world, "userspace");
  const abort = new AbortController();
  const talking = talk(life, connection, abort.signal);
  let isReading = false;
  const timer = setInterval(() => {
    if (isReading) return;
    isReading = true;
    void life
      .read()
      .catch(() => undefined) // it ended while it was looked at
      .finally(() => {
        isReading = false;
      });
  }, 1000);
  const chances = Object.entries(ACTS).flatMap(([name, [often]]) => Array<string>(often).fill(name));
  while (life.now < MINUTES * 60_000) {
    const name = life.random.pick(chances);
    // What only a long life shows would not be seen in short ones.
    if (name.endsWith("and start") && life.now < MINUTES * 40_000) continue;
    life.counts.set(name, (life.counts.get(name) ?? 0) + 1);
    await Promise.race([ACTS[name]![1](life), talking]);
    await sleep(50);
  }
  await sleep(3000);
  clearInterval(timer);
  abort.abort();
  await talking;
  connection.destroy();
  await sleep(1000);
  assert.equal(await life.daemon?.end(), 0);
  const after = await tablesOf(world.client, "userspace");
  assert.deepEqual(after, before, "something is left");
  report(life, readdirSync(dirname(runtimeFiles(world.client.netns).socket)));
});

function report(life: Life, left: readonly string[]): void {
  for (const [name, count] of [...life.counts].sort(([, one], [, other]) => other - one))
    console.log(`${String(count).padStart(6)}  ${name}`);
  console.log(
    `${life.exchanges} exchanges intact, ${life.crowd} short connections, ${life.announced} announcements; files left: ${left.join(" ") || "none"}`,
  );
  const whole = life.readings.filter(({ at }) => at < MINUTES * 40_000);
  const read = whole.flatMap(({ values }) => (values ? [values] : []));
  const third = Math.floor(read.length / 3);
  for (const [n, { name, unit }] of LANES.entries()) {
    const mean = (part: readonly (readonly number[])[]): string =>
      (part.reduce((sum, values) => sum + values[n]!, 0) / part.length).toFixed(1);
    console.log(
      `${name.padEnd(26)} one daemon: mean of its first third ${mean(read.slice(0, third))}${unit}, of its last ${mean(read.slice(-third))}${unit}`,
    );
  }
  const caption = `${life.births.length} daemons in turn, ${life.crowd} short connections, ${life.announced} announcements, ${life.exchanges} exchanges. Linux ${release()}, commit ${commit()}`;
  writeFileSync("docs/life.svg", drawLife({ lanes: LANES, readings: life.readings, births: life.births, caption }));
  console.log("docs/life.svg");
}
