/**
 * What it costs to be watched: added delay of the second subflow, and processor time, without and with viewers (`top` on a terminal, `monitor --human`,
 * `metrics`, and a program that asks for figures five times a second). `npm run bench -- watching [connections each] [connections a block] [viewer,...] [rest]`,
 * default 2000 and 250, all viewers ("none": two worlds without any, which says what a ratio is worth), and 1 ms from one connection to the next: a world of each, served in turns.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { type Delay, Joins } from "./_joins.ts";
import { Programs } from "./_programs.ts";
import { printMachine, printTable, processorTime, quantile } from "./_support.ts";
import { asking, MONITOR, memory, metrics, TOP, worker } from "./_viewers.ts";
import { end, makeWorld, SERVER, type World } from "./_world.ts";

const COUNT = Number(process.argv[2] ?? 2000);
const BLOCK = Number(process.argv[3] ?? 250);
const VIEWERS = process.argv[4] ?? "all";
const REST = process.argv[5] ?? "1";

/** Each viewer as its command line. */
function viewers(programs: Programs): Readonly<Record<string, readonly string[]>> {
  const all = { top: TOP, monitor: MONITOR, metrics: metrics(programs.directory), program: asking(200) };
  return Object.fromEntries(
    Object.entries(all).filter(([name]) => VIEWERS === "all" || VIEWERS.split(",").includes(name)),
  );
}

interface Side {
  readonly name: string;
  readonly world: World;
  readonly joins: Joins;
  readonly viewers: ReadonlyMap<string, ChildProcess>;
  used: number;
  elapsed: number;
}

async function side(name: string, programs: Programs, isWatched: boolean): Promise<Side> {
  const world = await makeWorld("subflow", programs);
  const joins = await Joins.start(world.client, join(programs.directory, `${name}.pcap`), true);
  const env = { ...process.env, SUBFLOW_RUNTIME_DIRECTORY: join(programs.directory, "run-subflow") };
  const started = new Map<string, ChildProcess>();
  for (const [viewer, command] of Object.entries(isWatched ? viewers(programs) : {})) {
    started.set(viewer, world.client.spawn(command, { stdio: ["pipe", "ignore", "inherit"], env }));
  }
  return { name, world, joins, viewers: started, used: 0, elapsed: 0 };
}

async function turn(of: Side, count: number, programs: Programs): Promise<void> {
  const pid = of.world.process?.pid ?? 0;
  const [start, before] = [performance.now(), processorTime(pid)];
  const words = [programs.program("traffic"), "series", ...SERVER, String(count), REST];
  await once(of.world.client.spawn(words, { stdio: ["ignore", "ignore", "inherit"] }), "exit");
  of.elapsed += performance.now() - start;
  of.used += processorTime(pid) - before;
}

function report(title: string, measured: readonly (readonly Delay[])[], which: keyof Delay): void {
  const rows = sides.map(({ name }, nth) => ({ name, values: (measured[nth] ?? []).map((delay) => delay[which]) }));
  printTable(title, "us", rows);
  const ratio = (q: number): string =>
    (quantile(rows[1]?.values ?? [], q) / quantile(rows[0]?.values ?? [], q)).toFixed(3);
  console.log(`watched / alone: p50 ${ratio(0.5)}, p99 ${ratio(0.99)} (target: 1.05)`);
}

printMachine();
using programs = new Programs();
const sides: Side[] = [];
try {
  sides.push(await side("alone", programs, false), await side("watched", programs, true));
  // They have found the daemon, and V8 what they do.
  await new Promise((resolve) => setTimeout(resolve, 5000));
  for (let done = 0; done < COUNT; done += BLOCK) {
    for (const each of sides) await turn(each, Math.min(BLOCK, COUNT - done), programs);
  }
  for (const { name, used, elapsed, world, viewers: shown } of sides) {
    const daemon = world.process ? `, RSS ${memory(world.process.pid ?? 0).toFixed(0)} MiB` : "";
    console.log(
      `${name}: the daemon had ${((100 * used) / elapsed).toFixed(0)} % of a processor in its turns${daemon}`,
    );
    for (const [viewer, child] of shown) console.log(`  ${viewer}: RSS ${memory(worker(child)).toFixed(0)} MiB`);
  }
  const measured = await Promise.all(sides.map(({ joins }) => joins.measured()));
  report("MP_CAPABLE SYN -> MP_JOIN SYN", measured, "all");
  report("last packet that came in -> MP_JOIN SYN", measured, "own");
} finally {
  for (const each of sides) {
    for (const child of each.viewers.values()) await end(child);
    await each.joins[Symbol.asyncDispose]();
    await each.world[Symbol.asyncDispose]();
  }
}
