/**
 * `subflow web` in a real Chromium with many connections of a real daemon: first picture, scrolling (time from frame to frame, and until the rows that
 * came into sight are there), search, and what page and server cost meanwhile. `npm run bench -- page-many [connections]`, default 10,000.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Page } from "playwright-core";
import { MptcpPm } from "../src/netlink/index.ts";
import { addressOf, launchBrowser } from "./_page.ts";
import { Programs } from "./_programs.ts";
import { printMachine, processorTime, quantile } from "./_support.ts";
import { joined, line, makeWorld, SERVER, type World } from "./_world.ts";

const COUNT = Number(process.argv[2] ?? 10_000);
const BLOCK = 1000;
const SUBFLOW = join(import.meta.dirname, "..", "..", "bin", "subflow");

/** Times from frame to frame, in milliseconds, since it was begun. */
const FRAMES = `
  window.frames_ = [];
  window.before_ = performance.now();
  (function next() {
    window.raf_ = requestAnimationFrame((now) => { window.frames_.push(now - window.before_); window.before_ = now; next(); });
  })();
`;
const END_FRAMES = "cancelAnimationFrame(window.raf_); window.frames_";
/** Every place of the list that can be seen has its row. */
const IS_FILLED = `(() => {
  const list = document.querySelector(".connections ul").getBoundingClientRect();
  const at = (y) => document.elementFromPoint(innerWidth / 2, y)?.closest(".connections li");
  const [from, to] = [Math.max(5, list.top + 5), Math.min(innerHeight - 5, list.bottom - 5)];
  return from < to && Boolean(at(from)) && Boolean(at(to)) && Boolean(at((from + to) / 2));
})()`;

async function open({ client }: World, pm: MptcpPm, programs: Programs): Promise<void> {
  for (let count = 0; count < COUNT; count += BLOCK) {
    const words = [programs.program("traffic"), "hold", ...SERVER, String(Math.min(BLOCK, COUNT - count))];
    await line(client.spawn(words, { stdio: ["pipe", "pipe", "inherit"] }));
  }
  await joined(pm, COUNT);
}

/** Milliseconds until it is so; not by waitForFunction, which the page's policy of contents forbids. */
async function until(page: Page, what: string): Promise<number> {
  const began = performance.now();
  while (!(await page.evaluate<boolean>(what))) {
    if (performance.now() - began > 30_000) throw new Error(`30 s, and not ${what}`);
    await sleep(10);
  }
  return performance.now() - began;
}

function show(name: string, values: readonly number[]): void {
  const sorted = [...values].sort((one, other) => one - other);
  const [p50, p99] = [quantile(sorted, 0.5), quantile(sorted, 0.99)];
  console.log(
    `${name}: p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, most ${(sorted.at(-1) ?? 0).toFixed(0)} ms (${sorted.length})`,
  );
}

/** By the wheel through a part of the list, then to places far away. */
async function scroll(page: Page): Promise<void> {
  await page.mouse.move(500, 500);
  await page.evaluate(FRAMES);
  let filled = 0;
  for (let step = 0; step < 120; step++) {
    await page.mouse.wheel(0, 240);
    await sleep(16);
    if (await page.evaluate<boolean>(IS_FILLED)) filled++;
  }
  console.log(`rows in all of the window while the wheel turns: ${filled} times of 120`);
  show("frame to frame while the wheel turns", await page.evaluate<number[]>(END_FRAMES));
  const jumps: number[] = [];
  for (let jump = 1; jump <= 20; jump++) {
    await page.evaluate(`scrollTo(0, ${jump % 2 ? 0.9 : 0.1} * document.body.scrollHeight + ${97 * jump})`);
    await sleep(20);
    jumps.push(20 + (await until(page, IS_FILLED)));
  }
  show("rows there after a jump through the list", jumps);
  await page.evaluate("scrollTo(0, 0)");
}

async function search(page: Page): Promise<void> {
  const token = await page.evaluate<string>(`document.querySelector(".connections li:nth-child(3) small").textContent`);
  const times: number[] = [];
  await page.evaluate(FRAMES);
  for (let time = 0; time < 10; time++) {
    await page.locator("#search").fill(token);
    times.push(await until(page, `document.querySelectorAll(".connections li").length === 1`));
    await page.locator("#search").fill("");
    times.push(await until(page, `document.querySelectorAll(".connections li").length > 5`));
  }
  show("found, or all of them again, after the search was typed", times);
  show("frame to frame meanwhile", await page.evaluate<number[]>(END_FRAMES));
}

/** Processor time of the server, and memory, in some seconds in which the page is looked at. */
async function cost(server: ChildProcess, daemon: ChildProcess | undefined): Promise<void> {
  const ids = [server.pid ?? 0, daemon?.pid ?? 0];
  const before = ids.map(processorTime);
  const began = performance.now();
  await sleep(8000);
  const elapsed = performance.now() - began;
  const shares = ids.map((id, index) => (100 * (processorTime(id) - before[index]!)) / elapsed);
  const memory = ids.map(
    (id) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, "latin1"))?.[1]) / 1024,
  );
  for (const [index, name] of ["server", "daemon"].entries())
    console.log(`${name}: ${shares[index]!.toFixed(0)} % of a processor, ${memory[index]!.toFixed(0)} MiB`);
}

printMachine();
using programs = new Programs();
await using world = await makeWorld("subflow", programs);
using pm = MptcpPm.open({ netns: world.client.netns });
await open(world, pm, programs);
const env = { ...process.env, SUBFLOW_RUNTIME_DIRECTORY: join(programs.directory, "run-subflow") };
const words = [SUBFLOW, "-n", world.client.netns, "web", "--listen", "127.0.0.1:0"];
const server = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "pipe"], env });
const chrome = await launchBrowser();
try {
  const address = await addressOf(server);
  const page = await chrome.newPage({ viewport: { width: 1100, height: 900 } });
  const began = performance.now();
  await page.goto(address);
  await page.locator(".connections li").first().waitFor();
  console.log(`first picture with connections: ${(performance.now() - began).toFixed(0)} ms, the server just begun`);
  const isAll = `Number(document.querySelector(".summary dd").textContent) >= ${COUNT}`;
  console.log(`all ${COUNT} told of: ${(await until(page, isAll)).toFixed(0)} ms later`);
  const again = performance.now();
  await page.reload();
  await page.locator(".connections li").first().waitFor();
  console.log(`the page loaded again: ${(performance.now() - again).toFixed(0)} ms`);
  await scroll(page);
  await search(page);
  await cost(server, world.process);
} finally {
  await chrome.close();
  server.kill();
}
