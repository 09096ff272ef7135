/**
 * Draws what policies do, each in a scene of its own on the real kernel: docs/NAME.svg. `npm run bench -- scenes [NAME...]`, default: all.
 */
import { writeFileSync } from "node:fs";
import { release } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { MptcpPm } from "../src/netlink/index.ts";
import { unmap } from "../src/types/index.ts";
import { shape } from "../test/kernel/policy-support.ts";
import { drawTimeline, type Lane } from "./_picture.ts";
import { inScene, SCENES, type Scene } from "./_scenes.ts";
import { commit, printMachine } from "./_support.ts";

/** Milliseconds: how often is looked, when something happens and is over, and when the picture ends. */
const STEP = 200;
const [BEGINS, ENDS, END] = [3000, 9000, 18_000];
const PACE = 10;
/** Of what is written no more than this waits in the application: as one that minds how fast its peer reads. */
const WAITING_MAX = 500_000;

/** Bytes that arrived at the server since the last look, by lanes. @param ports of each pair of addresses, as they came */
function arrived(
  pm: MptcpPm,
  { laneOf }: Scene,
  sums: Map<string, number>,
  ports: Map<string, number[]>,
): Map<string, number> {
  const bytes = new Map<string, number>();
  for (const { path, bytesReceived, state } of pm.connections()[0]?.subflows ?? []) {
    if (state !== "established") continue;
    const pair = `${unmap(path.remote.address)}>${unmap(path.local.address)}`;
    const known = ports.get(pair) ?? [];
    ports.set(pair, known);
    if (!known.includes(path.remote.port)) known.push(path.remote.port);
    const name = laneOf(path, known);
    const key = `${pair} ${path.remote.port}`;
    bytes.set(name, (bytes.get(name) ?? 0) + bytesReceived - (sums.get(key) ?? 0));
    sums.set(key, bytesReceived);
  }
  return bytes;
}

async function play(scene: Scene): Promise<Lane[]> {
  const lanes = new Map<string, (number | undefined)[]>(scene.lanes.map((name) => [name, []]));
  await inScene(scene, async (world) => {
    for (const n of [1, 2]) await shape(world, n, scene.rate, scene.queue);
    await scene.prepare?.(world);
    using pm = MptcpPm.open({ netns: world.server.netns });
    const service = await world.server.listen({ address: "0.0.0.0" });
    const traffic = await service.connect(world.client.netns, { to: "10.0.1.2" });
    const timer = setInterval(() => {
      if (traffic.client.socket.writableLength < WAITING_MAX)
        void traffic.client.send(scene.chunk).catch(() => undefined);
    }, PACE);
    await sleep(1000);
    const [sums, ports] = [new Map<string, number>(), new Map<string, number[]>()];
    arrived(pm, scene, sums, ports);
    const start = performance.now();
    const happens = Promise.all([
      sleep(BEGINS).then(() => scene.begins(world, traffic)),
      sleep(ENDS).then(() => scene.ends(world)),
    ]);
    for (let step = 1; step * STEP <= END; step++) {
      await sleep(Math.max(0, start + step * STEP - performance.now()));
      const bytes = arrived(pm, scene, sums, ports);
      for (const name of bytes.keys()) if (!lanes.has(name)) lanes.set(name, new Array(step - 1).fill(undefined));
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
