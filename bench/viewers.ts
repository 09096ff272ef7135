/**
 * What each viewer costs: processor time and memory of the daemon and of `top`, `web`, `monitor --human`, `metrics`, a program that watches, and
 * `record`, one after the other (`web` without a page), with few connections and with many; the time to the first frame of `top`, the time of a scrape. Then what they cost a
 * join (`watching`), and what an entry of the black box costs (`recording`). `npm run bench -- viewers [connections ...]`, default 100 and 10,000;
 * a number of joins in the variable JOINS, default 1500, 0: none.
 */
import { spawnSync } from "node:child_process";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MptcpPm } from "../src/netlink/index.ts";
import { Programs } from "./_programs.ts";
import { printMachine, processorTime, quantile } from "./_support.ts";
import { asking, MONITOR, memory, metrics, subflow, TOP, worker } from "./_viewers.ts";
import { end, joined, line, makeWorld, SERVER, type World } from "./_world.ts";

const COUNTS = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [100, 10_000];
const JOINS = process.env.JOINS ?? "1500";
const BLOCK = 1000;
/** Until V8 knows what it does and the first state is told; then measured for so long. Milliseconds. */
const SETTLE = 4000;
const SPAN = 6000;
const SCRAPES = 20;
const FRAMES = 5;

/** Each viewer as its command line. */
function viewers(directory: string): Readonly<Record<string, readonly string[]>> {
  return {
    top: TOP,
    web: subflow("web", "--listen", "127.0.0.1:0"),
    monitor: MONITOR,
    metrics: metrics(directory),
    "a program, at 1 s": asking(1000),
    record: subflow("record", join(directory, "record.subflow")),
  };
}

function row(name: string, daemon: readonly [number, number], viewer?: readonly [number, number]): void {
  const cells = [...daemon, ...(viewer ?? [])].map((value, at) => value.toFixed(at % 2 === 0 ? 1 : 0).padStart(12));
  console.log(`${name.padEnd(20)}${cells.join("")}`);
}

/** Per cent of a processor in the span, and MiB at its end, of each process. */
async function measured(ids: readonly number[]): Promise<(readonly [number, number])[]> {
  const [before, began] = [ids.map(processorTime), performance.now()];
  await sleep(SPAN);
  const elapsed = performance.now() - began;
  return ids.map((id, at) => [(100 * (processorTime(id) - before[at]!)) / elapsed, memory(id)] as const);
}

/** Milliseconds that one scrape takes. */
function scrape(socketPath: string): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: "/metrics" }, (response) => {
      response.resume().on("end", () => resolve(performance.now() - began));
    });
    asked.on("error", reject).end();
  });
}

/** Milliseconds from the start of `top` until it shows connections. */
async function firstFrame({ client }: World, env: NodeJS.ProcessEnv): Promise<number> {
  const began = performance.now();
  const top = client.spawn(TOP, { stdio: ["pipe", "pipe", "ignore"], env });
  const frame = await new Promise<number>((resolve, reject) => {
    let text = "";
    top.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("10.0.1.2")) resolve(performance.now() - began);
    });
    top.on("exit", () => reject(new Error(`top ended without a frame:\n${text}`)));
  });
  await end(top);
  return frame;
}

const shown = (values: readonly number[]): string =>
  `p50 ${quantile(values, 0.5).toFixed(1)} ms, most ${quantile(values, 1).toFixed(1)} ms (${values.length})`;

async function hold(world: World, count: number, programs: Programs): Promise<void> {
  for (let open = 0; open < count; open += BLOCK) {
    const words = [programs.program("traffic"), "hold", ...SERVER, String(Math.min(BLOCK, count - open))];
    await line(world.client.spawn(words, { stdio: ["pipe", "pipe", "inherit"] }));
  }
  using pm = MptcpPm.open({ netns: world.client.netns });
  await joined(pm, count);
}

async function watched(count: number): Promise<void> {
  using programs = new Programs();
  await using world = await makeWorld("subflow", programs);
  await hold(world, count, programs);
  const daemon = world.process?.pid ?? 0;
  const env = { ...process.env, SUBFLOW_RUNTIME_DIRECTORY: join(programs.directory, "run-subflow") };
  console.log(`\n${count} connections with two subflows, at rest`);
  const heads = ["daemon %", "daemon MiB", "viewer %", "viewer MiB"].map((head) => head.padStart(12));
  console.log(`${"".padEnd(20)}${heads.join("")}`);
  await sleep(SETTLE);
  row("nobody", (await measured([daemon]))[0]!);
  const notes: string[] = [];
  for (const [name, command] of Object.entries(viewers(programs.directory))) {
    const viewer = world.client.spawn(command, { stdio: ["pipe", "ignore", "pipe"], env });
    let said = "";
    viewer.stderr!.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk;
    });
    await sleep(SETTLE);
    if (viewer.exitCode !== null) throw new Error(`${name} ended: ${said}`);
    const [its, own] = await measured([daemon, worker(viewer)]);
    row(name, its!, own!);
    if (name === "metrics") {
      const times: number[] = [];
      for (let n = 0; n < SCRAPES; n++) times.push(await scrape(join(programs.directory, "metrics.sock")));
      notes.push(`a scrape: ${shown(times)}`);
    }
    await end(viewer);
  }
  const frames: number[] = [];
  for (let n = 0; n < FRAMES; n++) frames.push(await firstFrame(world, env));
  for (const note of [...notes, `first frame of top, its start included: ${shown(frames)}`]) console.log(note);
}

/** Another benchmark, as a process of its own. */
function also(name: string, ...words: string[]): void {
  console.log(`\n${name} ${words.join(" ")}`);
  spawnSync(process.execPath, ["--expose-gc", join(import.meta.dirname, `${name}.js`), ...words], { stdio: "inherit" });
}

const began = performance.now();
printMachine();
for (const count of COUNTS) await watched(count);
also("recording", "0");
if (JOINS !== "0") also("watching", JOINS, "250");
console.log(`\nall of it took ${((performance.now() - began) / 1000).toFixed(0)} s`);
