/**
 * Many connections that stand: memory of the daemon per connection, RSS when idle, kill -9 and restart with all adopted.
 * `npm run bench -- standing [connections]`, default 10,000.
 */
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { MptcpPm } from "../src/netlink/index.ts";
import { Programs } from "./_programs.ts";
import { printMachine } from "./_support.ts";
import { end, joined, line, makeWorld, SERVER, startManager, type World } from "./_world.ts";

const COUNT = Number(process.argv[2] ?? 10_000);
const BLOCK = 1000;
/** Milliseconds after which a daemon counts as idle. */
const IDLE = 22_000;

/** VmRSS, and its part that is not a copy of a file (RssAnon), of proc_pid_status(5). KiB. */
function memory(child: ChildProcess | undefined): { rss: number; own: number } {
  const status = readFileSync(`/proc/${child?.pid}/status`, "utf8");
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  return { rss: field("VmRSS"), own: field("RssAnon") };
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
const show = ({ rss, own }: { rss: number; own: number }): string =>
  `RSS ${(rss / 1024).toFixed(1)} MiB, of it its own ${(own / 1024).toFixed(1)} MiB`;

/** Opens the connections, block by block: a listener's backlog is smaller than all of them. */
async function open(world: World, pm: MptcpPm, programs: Programs): Promise<ChildProcess[]> {
  const holders: ChildProcess[] = [];
  for (let count = 0; count < COUNT; count += BLOCK) {
    const words = [programs.program("traffic"), "hold", ...SERVER, String(Math.min(BLOCK, COUNT - count))];
    const holder = world.client.spawn(words, { stdio: ["pipe", "pipe", "inherit"] });
    await line(holder);
    holders.push(holder);
  }
  await joined(pm, COUNT);
  return holders;
}

async function restart(world: World, pm: MptcpPm, programs: Programs): Promise<void> {
  await end(world.process, "SIGKILL");
  const before = pm.connections().reduce((sum, { subflows }) => sum + subflows.length, 0);
  const began = performance.now();
  const daemon = await startManager("subflow", world.client, programs);
  console.log(`kill -9, then restart with all adopted: ${(performance.now() - began).toFixed(0)} ms (target: 3000)`);
  await pause(1000);
  const after = pm.connections().reduce((sum, { subflows }) => sum + subflows.length, 0);
  console.log(`subflows before ${before}, after ${after}`);
  console.log(`restarted: ${show(memory(daemon))}`);
  await pause(IDLE);
  console.log(`restarted, idle: ${show(memory(daemon))}`);
  await end(daemon);
}

printMachine();
using programs = new Programs();
await using world = await makeWorld("subflow", programs);
using pm = MptcpPm.open({ netns: world.client.netns });
await pause(IDLE);
const empty = memory(world.process);
console.log(`no connection, idle: ${show(empty)} (target: 55)`);
await open(world, pm, programs);
console.log(`${COUNT} connections: ${show(memory(world.process))}`);
await pause(IDLE);
const full = memory(world.process);
console.log(`${COUNT} connections, idle: ${show(full)}`);
console.log(`memory per connection: ${(((full.own - empty.own) * 1024) / COUNT).toFixed(0)} bytes (target: 2048)`);
await restart(world, pm, programs);
