/**
 * What a transfer over two paths loses when one of them is deaf for a moment again and again, as a radio is that looks for other cells:
 * nothing, beside the bare kernel. `npm run bench -- hiccups [rounds] [setup]`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { longestStall } from "../src/lab/index.ts";
import type { Millis } from "../src/types/index.ts";
import { addressOf, EMPTY, type Setup, World } from "./_matrix-world.ts";
import { printMachine, printTable, type Samples } from "./_support.ts";

const [roundsText = "5", only] = process.argv.slice(2);
const ROUNDS = Number(roundsText);
const SETUPS = (["userspace", "userspace-client", "bare"] as const).filter((setup) => !only || setup === only);
const RATE = "20mbit";
const DEAF: Millis = 150;
const EVERY: Millis = 1000;
const HICCUPS = 9;
const WARM: Millis = 1500;

interface Result {
  /** Mbit/s. */
  readonly throughput: number;
  readonly longest: Millis;
}

async function play(setup: Setup): Promise<Result> {
  await using world = await World.create({ local: 2, remote: 2, family: 4 }, setup, EMPTY);
  for (const link of ["u1", "u2"]) await world.lab.link(link).setRate(RATE);
  const service = await world.host("server").listen({ address: "0.0.0.0" });
  const connection = await service.connect(world.host("client").netns, { to: addressOf("server", 1, 4) });
  const { client, server } = connection;
  let isOver = false;
  const pour = async (): Promise<void> => {
    while (!isOver) await client.send(65_536);
  };
  const poured = pour().catch(() => undefined);
  await sleep(WARM);
  const [bytes, begun] = [server.bytesReceived, performance.now()];
  server.startClock();
  for (let hiccup = 0; hiccup < HICCUPS; hiccup++) {
    await sleep(EVERY);
    await world.lab.link("u1").blackhole(true);
    await sleep(DEAF);
    await world.lab.link("u1").blackhole(false);
  }
  const throughput = ((server.bytesReceived - bytes) * 8) / 1000 / (performance.now() - begun);
  const longest = longestStall(server.stalls);
  isOver = true;
  connection.destroy();
  await poured;
  return { throughput, longest };
}

printMachine();
const throughputs: Samples[] = [];
const stalls: Samples[] = [];
// Side by side, so that what else the machine does meets all of them.
const results = new Map<Setup, Result[]>(SETUPS.map((setup) => [setup, []]));
for (let round = 0; round < ROUNDS; round++) for (const [setup, list] of results) list.push(await play(setup));
for (const [name, list] of results) {
  throughputs.push({ name, values: list.map(({ throughput }) => throughput) });
  stalls.push({ name, values: list.map(({ longest }) => longest) });
}
printTable(`transfer over two paths of ${RATE}, one deaf for ${DEAF} ms each second`, "Mbit/s", throughputs);
printTable("the longest time without data", "ms", stalls);
