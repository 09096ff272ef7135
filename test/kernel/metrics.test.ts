import assert from "node:assert/strict";
import { type ChildProcess, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { Lab, transfer } from "../../src/lab/index.ts";
import { configFile, DaemonProcess, DEADLINE, pathsOf, SUBFLOW, subflow } from "./daemon-support.ts";
import { HEALTHY, nft } from "./doctor-support.ts";
import { kernelTest, peerTest } from "./support.ts";

const contrib = join(import.meta.dirname, "..", "..", "..", "contrib", "prometheus");
/** Debian's package `prometheus`; elsewhere by this variable. */
const PROMTOOL = process.env.PROMTOOL ?? "/usr/bin/promtool";
const folder = dirname(configFile(""));

async function connected(lab: Lab) {
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  const connection = await service.connect(lab.host("client").netns, { to: "10.0.1.2", from: "10.0.1.1" });
  await transfer(connection.client, connection.server, 1000);
  await lab.waitFor(() => pathsOf(lab.host("client")).length === 2, DEADLINE, "two subflows");
  return connection;
}

/** What the exporter behind a Unix socket answers. */
function scrape(socketPath: string, headers: Record<string, string> = {}, path = "/metrics"): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, headers, timeout: DEADLINE }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve(`${response.statusCode} ${response.headers["content-type"]}\n${body}`));
    });
    asked.on("error", reject).end();
  });
}

async function ended(process: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exit = once(process, "exit");
  process.kill(signal);
  return (await exit)[0] as number | null;
}

/** What promtool says of a text, where it is installed. */
function assertLinted(text: string): void {
  if (!existsSync(PROMTOOL)) return;
  const { status, stdout, stderr } = spawnSync(PROMTOOL, ["check", "metrics"], { input: text, encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
}

kernelTest("metrics: on a socket, as a file, and what they say follows the daemon", async () => {
  await using lab = await Lab.create(HEALTHY);
  const client = lab.host("client");
  const daemon = await DaemonProcess.start(lab, client, "--path-manager", "userspace");
  const path = join(folder, "metrics.sock");
  const exporter = client.spawn([process.execPath, SUBFLOW, "metrics", "--socket", path], { stdio: "ignore" });
  // A socket is there a moment before somebody listens on it.
  const answer = (): Promise<string> => scrape(path).catch(String);
  const says = (line: string): Promise<unknown> =>
    lab.waitFor(async () => (await answer()).split("\n").includes(line), DEADLINE, line);
  // From the first answer on, what happens is counted.
  await says("subflow_daemon_up 1");
  const connection = await connected(lab);
  await says('subflow_connections{side="client",path_manager="userspace"} 1');
  await says('subflow_subflows{interface="cellular",state="established",backup="false"} 1');
  await says('subflow_events_total{type="connection.established"} 1');
  await says('subflow_decisions_total{type="subflow.create"} 1');
  assert.equal(statSync(path).mode & 0o777, 0o660);
  const text = await scrape(path);
  assert.match(text, /^200 text\/plain; version=0\.0\.4/);
  const counted = (name: string): number => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
  assert.ok(counted("subflow_command_seconds_count") >= 1, text);
  assert.ok(counted("subflow_decision_seconds_count") <= counted("subflow_command_seconds_count"));
  assert.equal(counted('subflow_decision_seconds_bucket\\{le="\\+Inf"\\}'), counted("subflow_decision_seconds_count"));
  assertLinted(text.slice(text.indexOf("\n") + 1));
  const open = await scrape(path, { accept: "application/openmetrics-text; version=1.0.0" });
  assert.match(open, /^200 application\/openmetrics-text; version=1\.0\.0.*\n[\s\S]*# EOF\n$/);
  assert.match(await scrape(path, {}, "/secret"), /^404/);

  // Who takes the options out of the SYN makes plain TCP of it; no event tells of that.
  await nft(lab.host("server"), "tcp flags & (syn | ack) == syn reset tcp option mptcp");
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  const plain = await service.connect(client.netns, { to: "10.0.1.2" });
  await says('subflow_connections_fallen_back{at="handshake"} 1');
  await says('subflow_fallbacks_total{reason="no_mptcp_in_synack"} 1');
  await says('subflow_connections{side="client",path_manager="userspace"} 1');
  plain.destroy();
  await says('subflow_connections_fallen_back{at="handshake"} 0');
  // Here the server does not hear that the client speaks it, though the client has heard the server.
  await lab.host("server").exec(["nft", "delete", "table", "inet", "lab"]);
  await nft(lab.host("server"), "tcp flags & syn == 0 reset tcp option mptcp");
  const late = await service.connect(client.netns, { to: "10.0.1.2" });
  await transfer(late.client, late.server, 1000);
  await transfer(late.server, late.client, 1000);
  await says('subflow_connections_fallen_back{at="later"} 1');
  late.destroy();

  const file = join(folder, "subflow.prom");
  const { status, stderr } = subflow(client, "metrics", "--textfile", file, "--once");
  assert.equal(status, 0, stderr);
  assert.match(readFileSync(file, "utf8"), /^subflow_daemon_up 1$/m);
  assertLinted(readFileSync(file, "utf8"));
  const again = client.spawn([process.execPath, SUBFLOW, "metrics", "--textfile", file, "--interval", "1"], {
    stdio: "ignore",
  });
  await daemon.end("SIGKILL");
  await says("subflow_daemon_up 0");
  await lab.waitFor(() => /^subflow_daemon_up 0$/m.test(readFileSync(file, "utf8")), DEADLINE, "the file of later");
  assert.deepEqual([await ended(again, "SIGINT"), await ended(exporter, "SIGTERM")], [0, 0]);
  assert.equal(existsSync(path), false);
  connection.destroy();
  for (const [words, status_, says_] of [
    [["--listen", "0.0.0.0:9822"], 255, /only loopback addresses/],
    [["--listen", "nonsense"], 255, /an address and a port/],
    [["--socket", "a", "--textfile", "b"], 255, /one of --socket, --textfile/],
    [["--textfile", file, "--interval", "0"], 255, /1 to 3600/],
    [["--textfile", "/proc/nowhere/x.prom", "--once"], 1, /cannot write \/proc\/nowhere/],
    [["--socket", "/proc/nowhere/x.sock"], 1, /cannot listen/],
  ] as const) {
    const wrong = subflow(client, "metrics", ...words);
    assert.equal(wrong.status, status_, wrong.stderr);
    assert.match(wrong.stderr, says_);
  }
});

peerTest("metrics: promtool finds the alert rules well, and each fires when it should", PROMTOOL, async () => {
  for (const words of [
    ["check", "rules", "alerts.yaml"],
    ["test", "rules", "alerts-tests.yaml"],
  ]) {
    const { status, stdout, stderr } = spawnSync(PROMTOOL, words, { cwd: contrib, encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
  }
});
