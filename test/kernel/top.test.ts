import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { type Host, Lab, transfer } from "../../src/lab/index.ts";
import { connectionsOf, DaemonProcess, DEADLINE, SUBFLOW, subflow, subflowsOf } from "./daemon-support.ts";
import { HEALTHY } from "./doctor-support.ts";
import { peerTest } from "./support.ts";

const SCRIPT = "/usr/bin/script";
/** What leaves the terminal as it was: lines are broken again, the cursor is seen, the first screen is back. */
const RESTORED = "\u001b[?7h\u001b[?25h\u001b[?1049l";

/** `subflow top` on a terminal of its own. */
class OnTerminal {
  readonly #lab: Lab;
  readonly #process: ChildProcess;
  #output = "";

  constructor(lab: Lab, host: Host, { columns, rows }: { columns: number; rows: number }, ...words: string[]) {
    this.#lab = lab;
    const command = ["exec", process.execPath, SUBFLOW, "top", "--interval", "0.2", ...words].join(" ");
    const inside = `stty cols ${columns} rows ${rows}; ${command}`;
    this.#process = host.spawn([SCRIPT, "-qfec", inside, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
    this.#process.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
  }

  /** The last whole picture, without colours. */
  get screen(): string {
    const pictures = this.#output.split("\u001b[H");
    const last = pictures.at(-1)!.endsWith("\u001b[J") ? pictures.at(-1)! : (pictures.at(-2) ?? "");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences
    return last.replace(/\u001b\[[0-9;?]*[a-zA-Z]/g, "").replaceAll("\r", "");
  }

  async shows(pattern: RegExp): Promise<void> {
    await this.#lab.waitFor(
      () => pattern.test(this.screen),
      DEADLINE,
      `${pattern} on the screen:\n${this.screen}\n${JSON.stringify(this.#output.slice(-1500))}`,
    );
  }

  type(keys: string): void {
    this.#process.stdin!.write(keys);
  }

  /** Resolves with what was written last, and how it ended, when it has. */
  async end(how: () => void): Promise<{ output: string; status: number | null }> {
    const closed = once(this.#process, "close", { signal: AbortSignal.timeout(DEADLINE) });
    how();
    const [status] = (await closed) as [number | null];
    return { output: this.#output, status };
  }
}

/** The process of `subflow top`, below that of script(1). */
async function pidOf(host: Host): Promise<string> {
  const { stdout } = await host.exec(["pgrep", "-n", "-f", `${SUBFLOW} top`]);
  return stdout.trim();
}

async function connected(lab: Lab) {
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  const connection = await service.connect(lab.host("client").netns, { to: "10.0.1.2", from: "10.0.1.1" });
  await transfer(connection.client, connection.server, 1000);
  return connection;
}

peerTest("top: shows what happens, acts when asked to, and gives the terminal back", SCRIPT, async () => {
  await using lab = await Lab.create(HEALTHY);
  const client = lab.host("client");
  const daemon = await DaemonProcess.start(lab, client, "--path-manager", "userspace");
  const top = new OnTerminal(lab, client, { columns: 80, rows: 24 }, "--control");
  await top.shows(/There are no MPTCP connections/);
  const connection = await connected(lab);
  await top.shows(/→ 10\.0\.1\.2:\d+ ×2/);
  const sending = transfer(connection.client, connection.server, 2_000_000);
  await top.shows(/(wifi|cellular) 10\.0\.[12]\.1 → 10\.0\.1\.2 +\d[.\d]*[kM]?B/);
  await sending;
  top.type("\r");
  await top.shows(/why no others[\s\S]*timeline, the newest first[\s\S]*we open a subflow over cellular/);
  const isBackup = (): boolean => subflowsOf(client).some(({ backupLocal }) => backupLocal);
  top.type("b");
  await top.shows(/make backup: 10\.0\.[12]\.1:\d+\? y does it/);
  assert.equal(isBackup(), false);
  top.type("y");
  await lab.waitFor(isBackup, DEADLINE, "a backup");
  await top.shows(/backup \(ours\)/);
  top.type("\u001b");
  await top.shows(/CONNECTION, SUBFLOWS/);
  await client.ip(["link set cellular down"]);
  await top.shows(/×1/);
  await daemon.end("SIGKILL");
  await top.shows(/No daemon answers here[\s\S]*→ 10\.0\.1\.2:\d+ ×/);
  await DaemonProcess.start(lab, client, "--path-manager", "userspace");
  await lab.waitFor(() => !/No daemon answers here/.test(top.screen), DEADLINE, "the daemon, seen again");
  await top.shows(/×1/);
  const { output, status } = await top.end(() => top.type("\u0003"));
  assert.equal(status, 0);
  assert.ok(output.trimEnd().endsWith(RESTORED), JSON.stringify(output.slice(-80)));
});

peerTest("top: on a narrow terminal, by a signal, without a terminal", SCRIPT, async () => {
  await using lab = await Lab.create(HEALTHY);
  const client = lab.host("client");
  const connection = await connected(lab);
  const top = new OnTerminal(lab, client, { columns: 40, rows: 10 });
  await top.shows(/No daemon answers here/);
  await top.shows(new RegExp(connectionsOf(client)[0]!.token.toString(16).padStart(8, "0")));
  for (const line of top.screen.split("\n")) assert.ok(line.length <= 40, line);
  const pid = await pidOf(client);
  const { output, status } = await top.end(() => process.kill(Number(pid), "SIGTERM"));
  assert.equal(status, 0);
  assert.ok(output.trimEnd().endsWith(RESTORED), JSON.stringify(output.slice(-80)));

  const once_ = subflow(client, "top", "--interval", "0.2");
  assert.equal(once_.status, 0, once_.stderr);
  assert.match(once_.stdout, /^subflow top {2}no daemon {2}1 connection, 1 subflow\n/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them is wanted
  assert.doesNotMatch(once_.stdout, /\u001b/);
  for (const [word, says] of [
    ["0.1", /0\.2 to 60 seconds/],
    ["x", /0\.2 to 60 seconds/],
  ] as const) {
    const wrong = subflow(client, "top", "--interval", word);
    assert.equal(wrong.status, 255);
    assert.match(wrong.stderr, says);
  }
  assert.match(subflow(client, "top", "--sort", "beauty").stderr, /one of rate, trouble, rtt/);
  connection.destroy();
});
