import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, chromium, type Page } from "playwright-core";

/** Debian's package `chromium`; elsewhere by this variable. */
export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A browser with an empty profile that asks nobody for anything. */
export function browser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** What axe finds in the page as it is: nothing. */
export async function assertAccessible(page: Page): Promise<void> {
  // By the debugger, which no policy of contents stops.
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const { violations } = await (
      globalThis as never as { axe: { run(): Promise<{ violations: Violation[] }> } }
    ).axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  });
  assert.deepEqual(violations, []);
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** No script that stands in the page itself runs. */
export async function assertNoScript(page: Page): Promise<void> {
  await page.addScriptTag({ content: "0" }).then(
    () => assert.fail("a script in the page itself ran: the policy of contents does not hold"),
    () => undefined,
  );
}

/** Nothing is beyond the edge of a phone. */
export async function assertFits(page: Page): Promise<void> {
  assert.equal(await page.evaluate("document.documentElement.scrollWidth > innerWidth"), false);
}
