/**
 * Draws what policies do, each in a scene of its own on the real kernel: docs/NAME.svg. `npm run bench -- scenes [NAME...]`, default: all.
 */
import { writeFileSync } from "node:fs";
import { release } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { TrafficConnection } from "../src/lab/index.ts";
import { MptcpPm } from "../src/netlink/index.ts";
import { unmap } from "../src/types/index.ts";
import { nft } from "../test/kernel/doctor-support.ts";
import type { World } from "../test/kernel/outage-support.ts";
import { fillQueue, shape, withPolicy } from "../test/kernel/policy-support.ts";
import { drawTimeline, type Lane } from "./_picture.ts";
import { commit, printMachine } from "./_support.ts";

/** What happens to the first of two links of a client that sends to a server. */
interface Scene {
  readonly policy: string;
  /** Of both links; milliseconds of data that wait. */
  readonly rate: string;
  readonly queue: number;
  /** Bytes every ten milliseconds. */
  readonly chunk: number;
  readonly note: string;
  readonly about: string;
  begins(world: World, traffic: TrafficConnection): Promise<unknown>;
  ends(world: World): Promise<unknown>;
  readonly full: number;
}

let stopFilling: (() => void) | undefined;
let extra: NodeJS.Timeout | undefined;

const SCENES: Readonly<Record<string, Scene>> = {
  "active-backup": {
    policy: "{ name: active-backup, hold_down: 3s }",
    ...{ rate: "20mbit", queue: 50, chunk: 5000, full: 6 },
    note: "the carrier of path 1 is lost",
    about: "What arrives over each of two paths with active-backup while the first is lost and comes back",
    begins: ({ lab, client }) => lab.link("eth1").loseCarrier(client),
    ends: async ({ lab, client }) => {
      await lab.link("eth1").up();
      await client.ip(["route replace default via 10.0.1.2 dev eth1 metric 100"]);
    },
  },
  handover: {
    policy: "{ name: handover, hold_down: 3s }",
    ...{ rate: "20mbit", queue: 50, chunk: 10_000, full: 12 },
    note: "path 1 loses one packet in six",
    about: "What arrives over each of two paths with handover while the first loses packets",
    begins: ({ server }) => nft(server, "iifname eth1 meta length > 500 numgen random mod 100 < 16 drop"),
    ends: ({ server }) => server.exec(["nft", "delete", "table", "inet", "lab"]),
  },
  interactive: {
    policy: "{ name: interactive, hold_down: 2s }",
    ...{ rate: "4mbit", queue: 400, chunk: 200, full: 0.25 },
    note: "somebody else fills the queue of path 1",
    about: "What arrives over each of two paths with interactive while somebody else's transfer fills the first",
    begins: async (world) => {
      stopFilling = await fillQueue(world, 1);
    },
    ends: async () => stopFilling?.(),
  },
  aggregate: {
    policy: "{ name: aggregate, hold_down: 3s }",
    ...{ rate: "10mbit", queue: 50, chunk: 40_000, full: 12 },
    note: "path 2 carries 200 kbit/s, with 1.5 s of queue",
    about: "What arrives over each of two paths with aggregate while the second is very slow",
    begins: (world) => shape(world, 2, "200kbit", 1500),
    ends: (world) => shape(world, 2, "10mbit", 50),
  },
  priority: {
    policy: "priority",
    ...{ rate: "10mbit", queue: 50, chunk: 2500, full: 12 },
    note: "the client sends as much as it can",
    about: "What arrives over each of two paths with priority while the application sends more than the first carries",
    begins: async (_world, { client }) => {
      extra = setInterval(() => void client.send(40_000).catch(() => undefined), 20);
    },
    ends: async () => clearInterval(extra),
  },
};

/** Milliseconds: how often is looked, when something happens and is over, and when the picture ends. */
const STEP = 200;
const [BEGINS, ENDS, END] = [3000, 9000, 18_000];
const PACE = 10;
/** Of what is written no more than this waits in the application: as one that minds how fast its peer reads. */
const WAITING_MAX = 500_000;

/** Bytes that arrived at the server since the last look, by the client's link. */
function arrived(pm: MptcpPm, sums: Map<string, number>): Map<string, number> {
  const bytes = new Map<string, number>();
  for (const { path, bytesReceived, state } of pm.connections()[0]?.subflows ?? []) {
    if (state !== "established") continue;
    const name = unmap(path.remote.address) === "10.0.1.1" ? "path 1" : "path 2";
    const key = `${name} ${path.remote.port}`;
    bytes.set(name, (bytes.get(name) ?? 0) + bytesReceived - (sums.get(key) ?? 0));
    sums.set(key, bytesReceived);
  }
  return bytes;
}

async function play(scene: Scene): Promise<Lane[]> {
  const lanes = new Map<string, (number | undefined)[]>([1, 2].map((n) => [`path ${n}`, []]));
  await withPolicy(scene.policy, async (world) => {
    for (const n of [1, 2]) await shape(world, n, scene.rate, scene.queue);
    using pm = MptcpPm.open({ netns: world.server.netns });
    const service = await world.server.listen({ address: "0.0.0.0" });
    const traffic = await service.connect(world.client.netns, { to: "10.0.1.2" });
    const timer = setInterval(() => {
      if (traffic.client.socket.writableLength < WAITING_MAX)
        void traffic.client.send(scene.chunk).catch(() => undefined);
    }, PACE);
    await sleep(1000);
    const sums = new Map<string, number>();
    arrived(pm, sums);
    const start = performance.now();
    const happens = Promise.all([
      sleep(BEGINS).then(() => scene.begins(world, traffic)),
      sleep(ENDS).then(() => scene.ends(world)),
    ]);
    for (let step = 1; step * STEP <= END; step++) {
      await sleep(Math.max(0, start + step * STEP - performance.now()));
      const bytes = arrived(pm, sums);
      for (const [name, values] of lanes) {
        const sum = bytes.get(name);
        values.push(sum === undefined ? undefined : (sum * 8) / STEP / 1000);
      }
    }
    clearInterval(timer);
    await happens;
    traffic.destroy();
  });
  return [...lanes].map(([name, values]) => ({ name, values }));
}

printMachine();
const asked = process.argv.slice(2);
for (const name of asked.length > 0 ? asked : Object.keys(SCENES)) {
  const scene = SCENES[name];
  if (!scene) throw new Error(`there is no scene ${name}; there are ${Object.keys(SCENES).join(", ")}`);
  const title = `Subflow, policy ${scene.policy.replace(/^{ name: (.*) }$/, "$1")}`;
  const groups = [{ title, lanes: await play(scene) }];
  const caption = `Linux ${release()}, commit ${commit()}`;
  const { note, about, full } = scene;
  const timeline = { groups, step: STEP, end: END, outage: [BEGINS, ENDS], note, about, caption, full } as const;
  writeFileSync(`docs/${name}.svg`, drawTimeline(timeline));
  console.log(`docs/${name}.svg`);
}
