import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";
import { EXAMPLE_TOPOLOGY } from "../../src/lab/index.ts";
import { SUBFLOW } from "../compat/support.ts";
import { conforms } from "../fixtures/schemas.ts";
import { kernelTest } from "./support.ts";

const directory = mkdtempSync(join(tmpdir(), "subflow-lab-"));
const file = join(directory, "two-paths.yaml");
writeFileSync(file, EXAMPLE_TOPOLOGY);
after(() => rmSync(directory, { recursive: true }));

async function subflow(...words: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [SUBFLOW, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (output.stderr += text));
  const [status] = (await once(child, "close")) as [number];
  return { status, ...output };
}

/** What is looked at here of docs/schemas/demo.json. */
interface Demo {
  readonly manager: string;
  readonly checksum_equal: boolean;
  readonly paths: { readonly bytes: number; readonly role: string }[];
  readonly events: { readonly source: string; readonly text: string }[];
  readonly counters: { readonly SubflowStale: number };
  readonly kernel_events_while_cut: number;
  readonly other_path_ms: number | null;
  readonly wifi_again_ms: number | null;
}

kernelTest("lab run: the command runs on the first host and its exit status is ours", async () => {
  const script = "ip -br address show wifi; nsenter --net=$SUBFLOW_LAB_SERVER ip -br address show wifi; exit 7";
  const { status, stdout, stderr } = await subflow("lab", "run", file, "--", "sh", "-c", script);
  assert.equal(stderr, "");
  assert.match(stdout, /10\.0\.1\.1\/24[\s\S]*10\.0\.1\.2\/24/);
  assert.equal(status, 7);
});

kernelTest("lab run: the daemon finds the endpoints of the example by itself", async () => {
  const { stdout } = await subflow(
    "lab",
    "run",
    file,
    "--",
    "sh",
    "-c",
    `"${process.execPath}" "${SUBFLOW}" -j run --dry-run`,
  );
  const { steps } = JSON.parse(stdout) as { steps: { command: string }[] };
  const added = steps.map(({ command }) => command).filter((command) => command.includes("endpoint add"));
  assert.deepEqual(
    added.map((command) => /add (\S+) dev (\S+)/.exec(command)?.slice(1)),
    [
      ["10.0.1.1", "wifi"],
      ["10.0.2.1", "cellular"],
    ],
  );
});

kernelTest("lab run: a daemon that finds nothing to do says why", async () => {
  const bare = join(directory, "bare.yaml");
  writeFileSync(bare, EXAMPLE_TOPOLOGY.replace(/ +routes:.*\n( +- .*\n)+/, ""));
  // sed ends at the first line that matches, the shell with it, and the lab with both: and so does the daemon.
  const script = `"${process.execPath}" "${SUBFLOW}" run > ${directory}/log 2>&1 & tail -n +1 -F ${directory}/log 2>/dev/null | sed /ready/q`;
  const { stdout } = await subflow("lab", "run", bare, "--", "sh", "-c", script);
  assert.match(stdout, /there is no endpoint to set, so connections keep to one path; left out are:/);
  assert.match(stdout, /10\.0\.1\.1 dev wifi: wifi has no IPv4 default route; set also_without_default_route/);
});

kernelTest("lab run: on another host", async () => {
  const { status, stdout } = await subflow("lab", "run", "--in", "server", file, "--", "ip", "-br", "address");
  assert.match(stdout, /wifi@\S+ +UP +10\.0\.1\.2\/24/);
  assert.equal(status, 0);
});

kernelTest("lab run: what is wrong is said", async () => {
  const cases: [string[], number, RegExp][] = [
    [["lab", "run"], 255, /"FILE" is required/],
    [["lab", "run", join(directory, "none.yaml")], 1, /ENOENT/],
    [["lab", "run", file, "ls"], 255, /behind "--": ls/],
    [["lab", "run", "--in", "nowhere", file, "--", "true"], 1, /no host "nowhere"; there are: client, server/],
  ];
  for (const [words, status, message] of cases) {
    const outcome = await subflow(...words);
    assert.equal(outcome.status, status, outcome.stderr);
    assert.match(outcome.stderr, message);
  }
});

kernelTest("demo: our daemon moves the transfer to the backup and back, and says what it did", async () => {
  const { status, stdout, stderr } = await subflow("-j", "demo");
  assert.equal(stderr, "");
  const result = conforms<Demo>("demo", stdout);
  assert.equal(result.manager, "subflow");
  assert.equal(result.checksum_equal, true);
  assert.ok(result.paths.every(({ bytes }: { bytes: number }) => bytes > 1_000_000));
  const said = result.events.map(({ source, text }: { source: string; text: string }) => `${source}: ${text}`);
  for (const pattern of [/^subflow: address\.remove id 0/, /^subflow: no path: 10\.0\.1\.1 .*no carrier/]) {
    assert.ok(
      said.some((line: string) => pattern.test(line)),
      `${pattern} in ${said.join("\n")}`,
    );
  }
  // Joins that only ask whether a path is alive may come between, where the machine lets nothing arrive for a while.
  const created = (address: string) =>
    said.findIndex((line) => line.startsWith(`subflow: subflow.create ${address}:0`));
  const back = said.indexOf("demo: wifi is back");
  const again = said.findLastIndex((line) => line.startsWith("subflow: subflow.create 10.0.1.1:0"));
  assert.ok(
    created("10.0.2.1") > 0 && created("10.0.2.1") < said.findIndex((line) => /is pulled/.test(line)),
    said.join("\n"),
  );
  assert.ok(back > 0 && again > back, `wifi when it returned, in ${said.join("\n")}`);
  assert.match(result.paths.map(({ role }: { role: string }) => role).join("; "), /^joined.*; joined, backup$/);
  assert.equal(result.counters.SubflowStale, 0, "nothing was left to the scheduler to find out");
  assert.ok(result.other_path_ms !== null && result.wifi_again_ms !== null);
  assert.equal(status, 0);
});

kernelTest(
  "demo: with the in-kernel path manager the transfer survives too, and nothing is told of the cut",
  async () => {
    const { status, stdout } = await subflow("-j", "demo", "--kernel");
    const result = conforms<Demo>("demo", stdout);
    assert.equal(result.manager, "kernel");
    assert.equal(result.checksum_equal, true);
    assert.deepEqual(
      result.paths.map(({ role }: { role: string }) => role),
      ["initial", "joined, backup"],
    );
    assert.equal(result.kernel_events_while_cut, 0, "the in-kernel path manager does not look at links");
    assert.ok(result.counters.SubflowStale >= 1, "the scheduler gave wifi up");
    assert.equal(status, 0);
  },
);

kernelTest("demo: its daemons end with it, whatever ends it", async () => {
  const child = spawn(process.execPath, [SUBFLOW, "demo"], {
    stdio: ["ignore", "pipe", "inherit"],
    // Killed like this it cannot remove its files: they go with ours.
    env: { ...process.env, TMPDIR: directory },
  });
  const seen = createInterface({ input: child.stdout });
  for await (const line of seen) if (line.includes("`subflow run` on both hosts")) break;
  const daemons = childrenOf(child.pid!).filter((pid) => commandOf(pid).includes("run"));
  assert.equal(daemons.length, 2);
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
  const deadline = performance.now() + 5000;
  while (daemons.some((pid) => commandOf(pid) !== "")) {
    assert.ok(performance.now() < deadline, "a daemon outlived its demo");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
  return text.split(" ").filter(Boolean).map(Number);
}

/** "" when it is gone. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

kernelTest("demo: a reader that goes away ends it quietly", async () => {
  const child = spawn("sh", ["-c", '"$0" "$1" demo | head -n 1', process.execPath, SUBFLOW], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  await once(child, "close");
  assert.equal(stderr, "");
});
