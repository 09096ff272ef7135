/**
 * `subflow web` in a real Chromium: time to the first paint with connections in it, from the end of the handshake (our own connect(2) has just returned, the
 * kernel's event is as old) to the frame that shows the connection, and what page and server weigh. `npm run bench -- page [connections]`, default 100.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { Page } from "playwright-core";
import { Lab, type TrafficConnection } from "../src/lab/index.ts";
import { addressOf, launchBrowser } from "./_page.ts";
import { printMachine, quantile } from "./_support.ts";

const COUNT = Number(process.argv[2] ?? 100);
const SUBFLOW = join(import.meta.dirname, "..", "..", "bin", "subflow");
const WEB = join(import.meta.dirname, "..", "bundle", "web");

/** Notes when each frame was painted that shows one more connection; the clock is the machine's. */
const OBSERVE = `
  window.seen = [];
  const count = () => Number(document.querySelector(".summary dd")?.textContent ?? 0);
  let last = count();
  new MutationObserver(() => {
    if (count() <= last) return;
    last = count();
    requestAnimationFrame(() => setTimeout(() => window.seen.push(Date.now())));
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
`;

async function firstPaint(page: Page, address: string): Promise<number> {
  await page.goto(address);
  await page.locator(".connections li, .connections .empty").first().waitFor();
  return await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime");
}

/** Not by waitForFunction, which the page's policy of contents forbids. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(20);
}

/** One connection after the other: milliseconds from connect(2) to the frame. */
async function toPixel(page: Page, connect: () => Promise<TrafficConnection>): Promise<number[]> {
  await page.evaluate(OBSERVE);
  const delays: number[] = [];
  for (let done = 0; done < COUNT; done++) {
    await connect();
    const at = Date.now();
    await until(async () => (await page.evaluate<number>("window.seen.length")) > done);
    delays.push((await page.evaluate<number>(`window.seen[${done}]`)) - at);
    // Not in step with the page's own seconds.
    await sleep(50 + 200 * Math.random());
  }
  return delays.sort((a, b) => a - b);
}

printMachine();
const files = ["index.html", "page.js", "page.css", "icon.svg"].map((name) => readFileSync(join(WEB, name)));
const sizes = { plain: 0, zipped: 0 };
for (const file of files) {
  sizes.plain += file.length;
  sizes.zipped += gzipSync(file).length;
}
await using lab = await Lab.create({
  hosts: { client: {}, server: {} },
  links: [
    { name: "one", ends: { client: ["10.0.1.1/24"], server: ["10.0.1.2/24"] } },
    { name: "two", ends: { client: ["10.0.2.1/24"], server: ["10.0.2.2/24"] } },
  ],
});
const client = lab.host("client");
const daemon = client.spawn([process.execPath, SUBFLOW, "run", "--path-manager", "userspace"], { stdio: "ignore" });
await lab.waitFor(
  async () => (await client.exec([process.execPath, SUBFLOW, "limits"])).status === 0,
  10_000,
  "a daemon",
);
const server = spawn(process.execPath, [SUBFLOW, "-n", client.netns, "web", "--listen", "127.0.0.1:0"], {
  stdio: ["ignore", "ignore", "pipe"],
});
const address = await addressOf(server);
const chrome = await launchBrowser();
try {
  const paints: number[] = [];
  for (let run = 0; run < 5; run++) {
    const page = await chrome.newPage();
    paints.push(await firstPaint(page, address));
    await page.close();
  }
  const page = await chrome.newPage();
  await page.goto(address);
  await page.locator(".summary").waitFor();
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  const delays = await toPixel(page, () => service.connect(client.netns, { to: "10.0.1.2" }));
  const status = readFileSync(`/proc/${server.pid}/status`, "latin1");
  const memory = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
  const paint = quantile(
    paints.sort((one, other) => one - other),
    0.5,
  );
  console.log(
    `page: ${(sizes.plain / 1000).toFixed(1)} kB (${(sizes.zipped / 1000).toFixed(1)} kB zipped); server ${memory.toFixed(0)} MiB`,
  );
  console.log(`first paint, median of ${paints.length}: ${paint.toFixed(0)} ms`);
  console.log(
    `handshake to pixel, ${COUNT} connections: p50 ${quantile(delays, 0.5).toFixed(0)} ms, p99 ${quantile(delays, 0.99).toFixed(0)} ms`,
  );
} finally {
  await chrome.close();
  server.kill();
  daemon.kill();
}
