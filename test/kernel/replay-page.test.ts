import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { transfer } from "../../src/lab/index.ts";
import { assertAccessible, assertFits, assertNoScript, browser, CHROMIUM } from "./browser-support.ts";
import { connectionsOf, DaemonProcess, DEADLINE, pathsOf, subflow } from "./daemon-support.ts";
import { connected, inWorld, OUTAGES, type World } from "./outage-support.ts";
import { peerTest } from "./support.ts";

const state = mkdtempSync(join(tmpdir(), "subflow-test-state-"));
process.env.SUBFLOW_STATE_DIRECTORY = state;
process.on("exit", () => rmSync(state, { recursive: true, force: true }));

/** The pages of a connection whose second link went and came: as it was, and beside another policy. */
async function pages(world: World): Promise<{ plain: string; beside: string; token: string }> {
  const { lab, client } = world;
  const daemon = await DaemonProcess.start(lab, client, "--path-manager", "userspace");
  const connection = await connected(world, "userspace");
  const two = (): boolean => pathsOf(client).length === 2;
  await lab.waitFor(two, DEADLINE, "two subflows");
  await OUTAGES.carrier(world, 2, false);
  await lab.waitFor(() => pathsOf(client).length === 1, DEADLINE, "one subflow");
  await OUTAGES.carrier(world, 2, true);
  await lab.waitFor(two, 2 * DEADLINE, "two again");
  await transfer(connection.client, connection.server, 10_000);
  const token = connectionsOf(client)[0]!.token.toString(16).padStart(8, "0");
  const [recording, plain, beside] = ["bug.rec", "plain.html", "beside.html"].map((name) => join(state, name));
  for (const words of [
    ["record", recording!, "--last", "5m"],
    ["replay", recording!, "--html", plain!],
    ["replay", recording!, "--html", beside!, "--policy", "none"],
  ]) {
    const { status, stderr } = subflow(client, ...words);
    assert.equal(status, 0, stderr);
  }
  connection.destroy();
  assert.equal(await daemon.end(), 0);
  return { plain: plain!, beside: beside!, token };
}

peerTest("replay: the page that it writes is whole by itself, light, dark, on a phone and by keyboard", CHROMIUM, () =>
  inWorld(2, async (world) => {
    const { plain, beside, token } = await pages(world);
    await using chrome = await browser();
    const context = await chrome.newContext({ viewport: { width: 1100, height: 900 }, offline: true });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("pageerror", ({ message }) => complaints.push(message));
    page.on("console", (message) => complaints.push(message.text()));
    page.on("request", (request) => {
      if (!request.url().startsWith("file:")) complaints.push(request.url());
    });
    await page.goto(pathToFileURL(plain).href);
    await page.getByRole("heading", { name: `Connection ${token}` }).waitFor();
    // The second one twice, because it went and came.
    assert.equal(await page.locator("svg rect.done").count(), 3, readFileSync(plain, "utf8"));
    assert.equal(await page.locator("svg rect.planned").count(), 0);
    await page
      .getByRole("cell", { name: /^we open a subflow over eth2: / })
      .first()
      .waitFor();
    await page.goto(pathToFileURL(beside).href);
    await page.getByText("Then, and with policy none").waitFor();
    assert.equal(await page.locator("svg rect.done").count(), 3);
    assert.equal(await page.locator("svg rect.planned").count(), 1, "the initial one alone");
    await page.getByRole("row", { name: /^subflow\.create [2-9] 0$/ }).waitFor();
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      for (const width of [1100, 360]) {
        await page.setViewportSize({ width, height: 740 });
        await assertFits(page);
        await assertAccessible(page);
      }
    }
    const paper = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    assert.equal(paper, "rgb(20, 24, 29)");
    // What is wider than a phone can be reached by keyboard.
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate("document.activeElement.className"), "wide");
    assert.deepEqual(complaints, []);
    await assertNoScript(page);
  }),
);
