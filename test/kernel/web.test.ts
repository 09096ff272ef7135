import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Page } from "playwright-core";
import { Lab, transfer } from "../../src/lab/index.ts";
import { assertAccessible, assertFits, assertNoScript, browser, CHROMIUM } from "./browser-support.ts";
import { configFile, DaemonProcess, DEADLINE, pathsOf, SUBFLOW, subflowsOf } from "./daemon-support.ts";
import { HEALTHY } from "./doctor-support.ts";
import { kernelTest, peerTest } from "./support.ts";

/** SCREENSHOTS=docs/pictures: pictures of the page for the documentation. */
const SCREENSHOTS = process.env.SCREENSHOTS;
const folder = dirname(configFile(""));
/** Neither today nor, if midnight comes meanwhile, tomorrow. */
const OTHER_DAY = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"][(new Date().getDay() + 3) % 7];

/** `subflow web` for a host of the lab, on a loopback address of this machine. */
async function serve(netns: string, ...words: string[]): Promise<{ address: string; process: ChildProcess }> {
  const listen = words.some((word) => word === "--listen" || word === "--socket") ? [] : ["--listen", "127.0.0.1:0"];
  const process_ = spawn(process.execPath, [SUBFLOW, "-n", netns, "web", ...listen, ...words], {
    stdio: ["ignore", "inherit", "pipe"],
  });
  let text = "";
  for await (const part of process_.stderr.setEncoding("utf8")) {
    text += part;
    const found = /^web: (\S+)$/m.exec(text);
    if (found) return { address: found[1]!, process: process_ };
  }
  throw new Error(`subflow web ended: ${text}`);
}

async function end(process: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
  const exit = once(process, "exit");
  process.kill(signal);
  return (await exit)[0] as number | null;
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

function ask(address: string, options: { headers?: Record<string, string>; method?: string; body?: string } = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const { body, ...rest } = options;
    const asked = request(address, { ...rest, timeout: DEADLINE }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body: text }));
    });
    asked.on("error", reject).end(body);
  });
}

async function connected(lab: Lab) {
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  const connection = await service.connect(lab.host("client").netns, { to: "10.0.1.2", from: "10.0.1.1" });
  await transfer(connection.client, connection.server, 1000);
  await lab.waitFor(() => pathsOf(lab.host("client")).length === 2, DEADLINE, "two subflows");
  return connection;
}

kernelTest(
  "web: who has no key, another name, or comes from another page, is turned away; others get the page",
  async () => {
    await using lab = await Lab.create(HEALTHY);
    const { address, process } = await serve(lab.host("client").netns);
    const { origin, searchParams, port } = new URL(address);
    const key = searchParams.get("key")!;
    const cookie = `subflow-0=${key}`;
    assert.equal((await ask(`${origin}/picture`)).status, 403);
    assert.equal((await ask(`${origin}/?key=${"x".repeat(key.length)}`)).status, 403);
    const entered = await ask(address);
    assert.deepEqual([entered.status, entered.headers.location], [303, "/"]);
    assert.match(
      String(entered.headers["set-cookie"]),
      new RegExp(`^subflow-0=${key}; HttpOnly; SameSite=Strict; Path=/$`),
    );
    assert.equal((await ask(origin, { headers: { cookie, host: `evil.example:${port}` } })).status, 421);
    const page = await ask(origin, { headers: { cookie } });
    assert.equal(page.status, 200);
    assert.match(String(page.headers["content-security-policy"]), /default-src 'none'; script-src 'self'/);
    assert.doesNotMatch(page.body, /https?:|<style|style=|<script(?! type="module" src="\/page\.js")/);
    const post = { method: "POST", body: "{}", headers: { cookie, "content-type": "application/json", origin } };
    assert.equal((await ask(`${origin}/do`, post)).status, 403, "it only shows");
    const foreign = { ...post, headers: { ...post.headers, origin: "http://evil.example" } };
    assert.match((await ask(`${origin}/do`, foreign)).body, /another server/);
    for (const path of ["/../../../etc/passwd", "/%2e%2e/etc/passwd", "/nothing", "//"]) {
      assert.equal((await ask(`${origin}${path}`, { headers: { cookie } })).status, 404, path);
    }
    assert.equal((await ask(origin, { method: "DELETE", headers: { cookie } })).status, 405);
    const picture = JSON.parse(
      (await ask(`${origin}/picture?count=5&offset=-3&sort=junk`, { headers: { cookie } })).body,
    );
    assert.deepEqual([picture.found, picture.rows.length, picture.mayControl], [0, 0, false]);
    assert.match(picture.missing.join(), /No daemon answers here/);
    assert.equal(await end(process), 0);
  },
);

kernelTest("web: on a socket for a proxy, and what cannot be is said", async () => {
  await using lab = await Lab.create(HEALTHY);
  const path = join(folder, "web.sock");
  const { address, process } = await serve(lab.host("client").netns, "--socket", path);
  assert.equal(address, path);
  assert.equal(statSync(path).mode & 0o777, 0o660);
  const answer = await new Promise<number | undefined>((resolve, reject) =>
    request({ socketPath: path, path: "/picture", headers: { host: "mptcp.example.org" } }, ({ statusCode }) =>
      resolve(statusCode),
    )
      .on("error", reject)
      .end(),
  );
  assert.equal(answer, 200);
  assert.equal(await end(process, "SIGINT"), 0);
  assert.ok(!existsSync(path));
  const netns = lab.host("client").netns;
  for (const [words, says] of [
    [["--listen", "0.0.0.0:9999"], /--tls-cert and --tls-key, or let a reverse proxy/],
    [["--listen", "here"], /an address and a port are expected/],
    [["--open", "--control"], /only show/],
    [["--tls-cert", "/nowhere"], /go together/],
    [["--tls-cert", "/nowhere", "--tls-key", "/nowhere"], /cannot read \/nowhere/],
    [["--socket", "/nowhere/x"], /cannot listen/],
  ] as const) {
    await assert.rejects(serve(netns, ...words), says);
  }
});

async function shoot(page: Page, name: string): Promise<void> {
  if (SCREENSHOTS === undefined) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

peerTest(
  "web: a real browser shows what happens, acts when asked to, and survives ends of daemon and server",
  CHROMIUM,
  async () => {
    await using lab = await Lab.create(HEALTHY);
    const client = lab.host("client");
    const config = configFile(`path_manager: userspace
interfaces: [{ name: cellular, role: subflow, quota: 5GB/month }]
rules:
  - { name: work, match: { side: client, remote: 10.0.1.0/24 }, policy: resilient }
  - { name: nights, match: { remote_port: 9, days: ${OTHER_DAY} }, delay: 64kB }
`);
    const daemon = await DaemonProcess.start(lab, client, "--config", config);
    const { address, process: server } = await serve(client.netns, "--control");
    await using chrome = await browser();
    const page = await chrome.newPage({ viewport: { width: 1100, height: 900 } });
    const complaints: string[] = [];
    page.on("pageerror", ({ message }) => complaints.push(message));
    await page.goto(address);
    assert.equal(new URL(page.url()).search, "", "the key has left the address line");
    await page.getByText("There is no subflow now.").waitFor();
    const { client: near, server: far } = await connected(lab);
    await page.getByText("2 subflows").waitFor();
    const sending = transfer(near, far, 3_000_000);
    await page.locator(".edge.good").nth(1).waitFor();
    await page.getByText("userspace path manager, resilient").waitFor();
    await sleep(SCREENSHOTS === undefined ? 0 : 1500);
    await shoot(page, "web");
    await sending;
    await assertNoScript(page);
    await page.getByRole("row", { name: "work side client, remote 10.0.1.0/24 policy resilient 1" }).waitFor();
    await page.getByRole("row", { name: /^nights .*\(not now\) delay 64kB 0$/ }).waitFor();
    await page.getByText(/^cellular: .* of 5\.0 GB, within/).waitFor();
    await page.getByText(/\d subflows were lost and are there again/).waitFor();
    await assertAccessible(page);
    // By keyboard alone.
    await page.keyboard.press("/");
    await page.keyboard.type("nobody has this");
    await page.getByText("None is like that.").waitFor();
    await page.getByRole("searchbox").fill("cellular");
    await page.locator(".connections li").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "10.0.1.1" }).waitFor();
    await page.getByText("we open a subflow over cellular").waitFor();
    await page.getByText("Nothing is left out.").waitFor();
    await page
      .getByRole("img", { name: /^rate: .* now, at most .* in the last minute$/ })
      .first()
      .waitFor();
    await page
      .getByRole("img", { name: /^round-trip time: [\d.]+ ms now, at most/ })
      .first()
      .waitFor();
    assert.equal(await page.locator(".subflows .chart").count(), 4, "two a subflow");
    await assertAccessible(page);
    await shoot(page, "web-connection");
    const isBackup = (): boolean => subflowsOf(client).some(({ backupLocal }) => backupLocal);
    await page.getByRole("button", { name: "backup", exact: true }).last().click();
    await lab.waitFor(isBackup, DEADLINE, "a backup");
    await page.locator(".subflows li.backup").waitFor();
    page.on("dialog", (dialog) => void dialog.accept());
    await page.getByRole("button", { name: "close" }).last().click();
    await page.getByText("subflow over cellular closed").waitFor();
    // On a phone, in the dark.
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 360, height: 740 });
    await page.keyboard.press("Escape");
    await page.getByRole("heading", { name: "Connections" }).waitFor();
    await assertFits(page);
    await assertAccessible(page);
    await shoot(page, "web-phone");
    await page.getByRole("button", { name: "Look for what is wrong" }).click();
    await page
      .getByText(/Nothing is wrong|warning:|error:|note:/)
      .first()
      .waitFor({ timeout: 30_000 });
    await daemon.end("SIGKILL");
    await page.getByText("No daemon answers here").waitFor();
    await DaemonProcess.start(lab, client, "--config", config);
    await page.getByText("userspace path manager").waitFor();
    await end(server, "SIGKILL");
    await page.getByText("The server does not answer").waitFor();
    assert.deepEqual(complaints, []);
  },
);
