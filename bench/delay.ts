/**
 * Added delay of the second subflow: MP_CAPABLE SYN → MP_JOIN SYN at the client, by tcpdump's packet times.
 * `npm run bench -- delay [connections each] [connections a block] [spin]`, default 2000 and 250: each manager in a world of its
 * own, all there at the same time, served in turns, so that what else the machine does hits all alike. `spin`: also a daemon whose
 * answer thread never sleeps, which is stopped while others are served. `treatments` instead: beside it daemons with rules, and with a policy in a process
 * of its own.
 */
import { once } from "node:events";
import { join } from "node:path";
import { Joins } from "./_joins.ts";
import { Programs } from "./_programs.ts";
import { printMachine, printTable, processorTime, quantile, type Samples } from "./_support.ts";
import { type Manager, makeWorld, SERVER, type World } from "./_world.ts";

const COUNT = Number(process.argv[2] ?? 2000);
const BLOCK = Number(process.argv[3] ?? 250);
const SPINNING: Manager = "subflow spinning";
const TREATMENTS: readonly Manager[] = ["20 rules", "20 rules by user", "plug-in"];
const MANAGERS: readonly Manager[] = [
  "in-kernel",
  "C floor",
  "mptcpd",
  "subflow",
  ...(process.argv[4] === "spin" ? [SPINNING] : []),
  ...(process.argv[4] === "treatments" ? TREATMENTS : []),
];

/** A world with tcpdump at its client. */
interface Watched {
  readonly world: World;
  readonly joins: Joins;
}

async function watch(manager: Manager, programs: Programs): Promise<Watched> {
  const world = await makeWorld(manager, programs);
  return { world, joins: await Joins.start(world.client, join(programs.directory, `${manager}.pcap`)) };
}

/** One block of connections, one after the other. */
async function block({ client }: World, count: number, programs: Programs): Promise<void> {
  const words = [programs.program("traffic"), "series", ...SERVER, String(count)];
  const series = client.spawn(words, { stdio: ["ignore", "ignore", "inherit"] });
  await once(series, "exit");
}

/** Milliseconds that its manager has had; 0 for the kernel's own. */
function timeOf({ process }: World): number {
  return process?.pid ? processorTime(process.pid) : 0;
}

/** Milliseconds, in its own turns. */
interface Turns {
  elapsed: number;
  used: number;
}

async function turn(world: World, count: number, turns: Turns, programs: Programs): Promise<void> {
  const isSpinning = world.manager === SPINNING;
  if (isSpinning) world.process?.kill("SIGCONT");
  const [start, before] = [performance.now(), timeOf(world)];
  await block(world, count, programs);
  turns.elapsed += performance.now() - start;
  turns.used += timeOf(world) - before;
  if (isSpinning) world.process?.kill("SIGSTOP");
}

/** Every manager in turn, block by block. */
async function measure(list: readonly Watched[], programs: Programs): Promise<Samples[]> {
  const turns = list.map((): Turns => ({ elapsed: 0, used: 0 }));
  for (const { world } of list) if (world.manager === SPINNING) world.process?.kill("SIGSTOP");
  for (let done = 0; done < COUNT; done += BLOCK) {
    for (const [nth, { world }] of list.entries()) {
      await turn(world, Math.min(BLOCK, COUNT - done), turns[nth] as Turns, programs);
    }
  }
  for (const [nth, { world }] of list.entries()) {
    const { elapsed, used } = turns[nth] as Turns;
    if (world.manager === SPINNING) world.process?.kill("SIGCONT");
    console.log(`${world.manager}: ${((100 * used) / elapsed).toFixed(0)} % of a processor in its turns`);
  }
  return Promise.all(list.map(async ({ world, joins }) => ({ name: world.manager, values: await joins.delays() })));
}

printMachine();
using programs = new Programs();
const list: Watched[] = [];
try {
  for (const manager of MANAGERS) list.push(await watch(manager, programs));
  const rows = await measure(list, programs);
  printTable("MP_CAPABLE SYN -> MP_JOIN SYN", "us", rows, "mptcpd");
  for (const { name, values } of rows) console.log(`${name}: ${COUNT - values.length} of ${COUNT} without one`);
  const p50 = (manager: Manager): number => quantile(rows.find(({ name }) => name === manager)?.values ?? [], 0.5);
  console.log(`subflow - C floor, p50: ${(p50("subflow") - p50("C floor")).toFixed(1)} us (target: 20)`);
} finally {
  for (const { world, joins } of list) {
    await joins[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  }
}
