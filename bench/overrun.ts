/**
 * More events than the socket has room for: the manager is stopped, connections are opened that are to stay, a storm goes by, the
 * manager goes on. How long until all that stayed have their second subflow, and the daemon knows them and no other?
 * `npm run bench -- overrun [rounds] [connections that stay]`, default 5 and 500; beside mptcpd.
 */
import { once } from "node:events";
import { join } from "node:path";
import { ask } from "../src/control/index.ts";
import { MptcpPm } from "../src/netlink/index.ts";
import { Programs } from "./_programs.ts";
import { printMachine, printTable, type Samples } from "./_support.ts";
import { line, type Manager, makeWorld, SERVER, type World } from "./_world.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const STAYING = Number(process.argv[3] ?? 500);
/** 5,000 connections a second, four events each, fill 16 MiB within a second. */
const STORM = ["3", "5000", "100", "2000"];
/** A manager that never gets there is given up after this. Milliseconds. */
const GIVE_UP = 10_000;

/** Every connection that stayed has its second subflow, and the daemon knows as many as there are. */
async function isRight({ client, manager }: World, pm: MptcpPm): Promise<boolean> {
  const live = pm.connections().filter(({ state }) => state === "established");
  if (live.length !== STAYING || live.some(({ extraSubflows }) => extraSubflows === 0)) return false;
  if (manager !== "subflow") return true;
  return (await ask("hello", {}, { netns: client.netns })).connections === STAYING;
}

/** Milliseconds from going on to being right; undefined: never. */
async function round(manager: Manager, programs: Programs): Promise<number | undefined> {
  await using world = await makeWorld(manager, programs);
  const { client, process: daemon } = world;
  daemon?.kill("SIGSTOP");
  const traffic = programs.program("traffic");
  const hold = client.spawn([traffic, "hold", ...SERVER, String(STAYING)], { stdio: ["pipe", "pipe", "inherit"] });
  await line(hold);
  const storm = client.spawn([traffic, "storm", ...SERVER, ...STORM], { stdio: ["ignore", "ignore", "inherit"] });
  await once(storm, "exit");
  using pm = MptcpPm.open({ netns: client.netns });
  daemon?.kill("SIGCONT");
  const start = performance.now();
  try {
    while (performance.now() - start < GIVE_UP) {
      if (await isRight(world, pm)) return performance.now() - start;
    }
    return undefined;
  } finally {
    if (manager === "subflow") {
      const { overruns } = await ask("hello", {}, { netns: client.netns });
      console.log(`subflow: ${overruns} overruns`);
    }
    hold.stdin?.end();
    await once(hold, "exit");
  }
}

printMachine();
using programs = new Programs();
process.env.SUBFLOW_RUNTIME_DIRECTORY = join(programs.directory, "run");
const rows: Samples[] = [];
for (const manager of ["mptcpd", "subflow"] as const) {
  const times: number[] = [];
  for (let count = 0; count < ROUNDS; count++) {
    const time = await round(manager, programs);
    if (time !== undefined) times.push(time);
  }
  console.log(`${manager}: right in ${times.length} of ${ROUNDS}`);
  rows.push({ name: manager, values: times });
}
printTable(
  "gone on after an overrun -> state right, at most 10 s",
  "ms",
  rows.filter(({ values }) => values.length > 0),
  "subflow",
);
