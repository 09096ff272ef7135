import type { ChildProcess } from "node:child_process";
import { type Browser, chromium } from "playwright-core";

/** Debian's package `chromium`; elsewhere by this variable. */
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** A browser with an empty profile that asks nobody for anything. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
  });
}

/** What `subflow web` says that it listens at. */
export async function addressOf(child: ChildProcess): Promise<string> {
  let text = "";
  for await (const part of child.stderr!.setEncoding("utf8")) {
    text += part;
    const found = /^web: (\S+)$/m.exec(text);
    if (found) return found[1]!;
  }
  throw new Error(text);
}
