/**
 * Short connections, each with one extra subflow, at several rates and at the highest one that two cores give; beside mptcpd.
 * `npm run bench -- storm [seconds] [rate...]`, default 60 and 1000 2000 5000 0 (0: as many as the machine gives).
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ask } from "../src/control/index.ts";
import { MptcpPm } from "../src/netlink/index.ts";
import { Programs } from "./_programs.ts";
import { printMachine, processorTime } from "./_support.ts";
import { line, type Manager, makeWorld, SERVER, type World } from "./_world.ts";

const SECONDS = Number(process.argv[2] ?? 60);
const RATES = process.argv.length > 3 ? process.argv.slice(3).map(Number) : [1000, 2000, 5000, 0];
const MANAGERS: readonly Manager[] = ["in-kernel", "mptcpd", "subflow"];
/** Milliseconds that a connection lives after its first byte came back: its second subflow has so long. */
const LIFE = 100;
/** Connections at a time. */
const AT_ONCE = 2000;
/** After an overrun the state must be right within this. Milliseconds. */
const RIGHT_AGAIN = 2000;

interface Storm {
  readonly connections: number;
  readonly missing: number;
  readonly failed: number;
  readonly seconds: number;
}

/** Seconds of CPU of a process so far. */
function cpu(pid: number): number {
  return processorTime(pid) / 1000;
}

/** The messages that the sockets of the namespace had no room for. */
async function drops({ client }: World): Promise<number> {
  const { stdout } = await client.exec(["cat", "/proc/net/netlink"]);
  return stdout
    .split("\n")
    .slice(1)
    .reduce((sum, row) => sum + Number(row.trim().split(/\s+/)[8] ?? 0), 0);
}

/** How many connections the daemon and the kernel know, once the storm is over. */
async function compare({ client }: World): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, RIGHT_AGAIN));
  using pm = MptcpPm.open({ netns: client.netns });
  const { connections, overruns } = await ask("hello", {}, { netns: client.netns });
  const real = pm.connections().filter(({ state }) => state === "established").length;
  return `overruns ${overruns}, ${RIGHT_AGAIN / 1000} s later ${connections} connections known, ${real} there`;
}

async function storm(manager: Manager, rate: number, programs: Programs): Promise<void> {
  await using world = await makeWorld(manager, programs);
  const { client, process: daemon } = world;
  const before = daemon?.pid === undefined ? 0 : cpu(daemon.pid);
  const words = ["storm", ...SERVER, String(SECONDS), String(rate), String(LIFE), String(AT_ONCE)];
  const child = client.spawn([programs.program("traffic"), ...words], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const { connections, missing, failed, seconds } = JSON.parse(await line(child)) as Storm;
  await ended;
  const lost = await drops(world);
  const used = daemon?.pid === undefined ? 0 : cpu(daemon.pid) - before;
  const resident =
    daemon?.pid === undefined
      ? 0
      : Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1]);
  const cells = [
    manager.padEnd(10),
    (rate === 0 ? "highest" : `${rate}/s`).padStart(8),
    `${Math.round(connections / seconds)}/s`.padStart(8),
    String(connections).padStart(8),
    String(missing).padStart(8),
    String(failed).padStart(7),
    String(lost).padStart(8),
    ((used / connections) * 1e6).toFixed(1).padStart(8),
    (resident / 1024).toFixed(1).padStart(9),
  ];
  console.log(cells.join(" "), manager === "subflow" ? ` ${await compare(world)}` : "");
}

printMachine();
using programs = new Programs();
process.env.SUBFLOW_RUNTIME_DIRECTORY = join(programs.directory, "run");
console.log("manager        rate    given    conns  missing  failed  dropped   us CPU   RSS MiB");
for (const rate of RATES) for (const manager of MANAGERS) await storm(manager, rate, programs);
