/**
 * What short HTTP requests cost, one connection each, with `delay` and without: SYNs, commands, processor time, latency; and what a large one loses by
 * it. `npm run bench -- requests [short requests] [large requests]`, default 1000 and 100. Both links carry 50 Mbit/s.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ask } from "../src/control/index.ts";
import type { Host } from "../src/lab/index.ts";
import { Programs } from "./_programs.ts";
import { printMachine, processorTime, quantile } from "./_support.ts";
import { line, type Manager, makeWorld, type World } from "./_world.ts";

const PORT = "6000";
const SERVER = "10.0.1.2";
const SIZES = [
  { bytes: 10_000, count: Number(process.argv[2] ?? 1000) },
  { bytes: 2_000_000, count: Number(process.argv[3] ?? 100) },
] as const;

const OURS = ["automatic: false", "policy: resilient", "limits: { subflows: 2, add_addr_accepted: 0 }"];
const ENDPOINT = "endpoints: [{ address: 10.0.2.1, flags: [subflow] }]";

interface Case {
  readonly name: string;
  readonly manager: Manager;
  readonly lines?: readonly string[];
}

const CASES: readonly Case[] = [
  { name: "no manager", manager: "nobody" },
  { name: "in-kernel", manager: "in-kernel" },
  { name: "no delay", manager: "subflow", lines: [...OURS, ENDPOINT] },
  ...["64kB", "64kB or 300ms", "300ms"].map((delay): Case => {
    return { name: `delay: ${delay}`, manager: "subflow", lines: [...OURS, ENDPOINT, `delay: ${delay}`] };
  }),
];

/** A counter of a namespace (proc_net_netstat), by its name. */
async function counter(host: Host, name: string): Promise<number> {
  const rows = (await host.exec(["cat", "/proc/net/netstat"])).stdout.split("\n");
  const names = rows.find((row) => row.startsWith("MPTcpExt:"))?.split(" ") ?? [];
  const values = rows.filter((row) => row.startsWith("MPTcpExt:"))[1]?.split(" ") ?? [];
  return Number(values[names.indexOf(name)] ?? Number.NaN);
}

/** Joins asked for by the client, actions of the daemon's engine, milliseconds of processor time of the daemon. */
async function totals({ client, process: daemon }: World): Promise<readonly [number, number, number]> {
  const joins = await counter(client, "MPJoinSynTx");
  if (daemon?.pid === undefined) return [joins, 0, 0];
  const snapshot = await ask("snapshot", {}, { netns: client.netns });
  const actions = (snapshot as { counters: { actions: number } }).counters.actions;
  return [joins, actions, processorTime(daemon.pid)];
}

async function measure({ name }: Case, world: World, programs: Programs): Promise<void> {
  for (const { bytes, count } of SIZES) {
    const before = await totals(world);
    const words = [programs.program("requests"), "get", SERVER, PORT, String(count), String(bytes)];
    const child = world.client.spawn(words, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout?.on("data", (part: Buffer) => {
      text += String(part);
    });
    await once(child, "close");
    const after = await totals(world);
    const took = text
      .split("\n")
      .filter((row) => /^\d+$/.test(row))
      .map(Number);
    const used = Number(/used (\d+)/.exec(text)?.[1]) / count;
    const [joins = 0, actions = 0, time = 0] = after.map((value, nth) => (value - (before[nth] ?? 0)) / count);
    const cells = [
      name.padEnd(22),
      `${bytes / 1000} kB`.padStart(8),
      String(took.length).padStart(6),
      joins.toFixed(2).padStart(12),
      actions.toFixed(2).padStart(9),
      (time * 1000).toFixed(0).padStart(11),
      used.toFixed(0).padStart(11),
      (quantile(took, 0.5) / 1000).toFixed(2).padStart(8),
      (quantile(took, 0.99) / 1000).toFixed(2).padStart(8),
    ];
    console.log(cells.join(""));
  }
}

async function play(one: Case, programs: Programs): Promise<void> {
  await using world = await makeWorld(one.manager, programs, one.lines ? [...one.lines] : undefined);
  for (const rate of ["eth1", "eth2"])
    for (const host of [world.client, world.server])
      await host.exec([
        "tc",
        "qdisc",
        "replace",
        "dev",
        rate,
        "root",
        "tbf",
        "rate",
        "50mbit",
        "burst",
        "64kb",
        "latency",
        "50ms",
      ]);
  const service = world.server.spawn([programs.program("requests"), "serve", SERVER, PORT], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await line(service);
  await measure(one, world, programs);
  service.stdin?.end();
}

printMachine();
console.log(`load ${readFileSync("/proc/loadavg", "utf8").split(" ").slice(0, 3).join(" ")}`);
using programs = new Programs();
process.env.SUBFLOW_RUNTIME_DIRECTORY = join(programs.directory, "run-subflow");
console.log(`${"".padEnd(22)}    body     n  joins each  actions  daemon, us  client, us  p50 ms  p99 ms`);
for (const one of CASES) await play(one, programs);
