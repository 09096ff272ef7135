/**
 * Draws what the policy `resilient` does when a path dies without a word and comes back: docs/resilient.svg, from a run on the real kernel.
 * `npm run bench -- picture [file]`.
 */
import { writeFileSync } from "node:fs";
import { release } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { MptcpPm } from "../src/netlink/index.ts";
import { type Connection, unmap } from "../src/types/index.ts";
import { short } from "./_matrix-cell.ts";
import { mend, strike, type Target } from "./_matrix-losses.ts";
import { addressOf, type Setup, World } from "./_matrix-world.ts";
import { drawTimeline, type Lane } from "./_picture.ts";
import { commit, printMachine } from "./_support.ts";

const FILE = process.argv[2] ?? "docs/resilient.svg";
const SIZE = { local: 2, remote: 2, family: 4 } as const;
const LOSS: Target = { kind: "silent-drop", host: "client", n: 1 };
const SETUPS: readonly (readonly [Setup, string])[] = [
  ["userspace", "Subflow, policy resilient"],
  ["bare", "in-kernel path manager"],
];
/** Milliseconds: how often is looked, when the path dies and comes back, and when it is over. */
const STEP = 100;
const [DIES, RETURNS, END] = [2000, 6000, 10_000];
/** The server sends 5 kB each 10 ms: 4 Mbit/s. */
const [CHUNK, PACE] = [5000, 10];

/** Bytes that arrived since the last look, by path. */
function readArrived(connection: Connection | undefined, sums: Map<string, number>): Map<string, number> {
  const arrived = new Map<string, number>();
  for (const { path, bytesReceived, state } of connection?.subflows ?? []) {
    if (state !== "established") continue;
    const port = `${unmap(path.local.address)}:${path.local.port}>${unmap(path.remote.address)}`;
    const name = nameOf(`${unmap(path.local.address)}>${unmap(path.remote.address)}`);
    arrived.set(name, (arrived.get(name) ?? 0) + Math.max(0, bytesReceived - (sums.get(port) ?? 0)));
    sums.set(port, bytesReceived);
  }
  return arrived;
}

/** "c1 to s1". */
const nameOf = (path: string): string => short([path], SIZE).replace("-", " to ");

async function play(setup: Setup): Promise<Lane[]> {
  await using world = await World.create(SIZE, setup);
  for (const link of ["u1", "u2"]) await world.lab.link(link).setRate("20mbit");
  using pm = MptcpPm.open({ netns: world.host("client").netns });
  const service = await world.host("server").listen({ address: "0.0.0.0" });
  const connection = await service.connect(world.host("client").netns, { to: addressOf("server", 1, 4) });
  const timer = setInterval(() => void connection.server.send(CHUNK).catch(() => undefined), PACE);
  await sleep(1000);
  const lanes = new Map<string, (number | undefined)[]>(
    ["c1 to s1", "c1 to s2", "c2 to s1", "c2 to s2"].map((name) => [name, []]),
  );
  const sums = new Map<string, number>();
  readArrived(pm.connections()[0], sums);
  const start = performance.now();
  const later = Promise.all([
    sleep(DIES).then(() => strike(world, LOSS)),
    sleep(RETURNS).then(() => mend(world, LOSS)),
  ]);
  for (let step = 1; step * STEP <= END; step++) {
    await sleep(Math.max(0, start + step * STEP - performance.now()));
    const arrived = readArrived(pm.connections()[0], sums);
    for (const [name, values] of lanes) {
      const bytes = arrived.get(name);
      values.push(bytes === undefined ? undefined : (bytes * 8) / STEP / 1000);
    }
  }
  clearInterval(timer);
  await later;
  return [...lanes].map(([name, values]) => ({ name, values }));
}

printMachine();
const groups = [];
for (const [setup, title] of SETUPS) groups.push({ title, lanes: await play(setup) });
const caption = `Linux ${release()}, commit ${commit()}; the server sends 4 Mbit/s`;
const about = "What arrives over each path while one of two links dies and comes back";
const note = "c1 drops everything, without a word";
const outage = [DIES, RETURNS] as const;
writeFileSync(FILE, drawTimeline({ groups, step: STEP, end: END, outage, note, about, caption, full: 6 }));
console.log(FILE);
