import assert from "node:assert/strict";
import { type ChildProcess, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { type Host, Lab, transfer } from "../../src/lab/index.ts";
import { configFile, DaemonProcess, DEADLINE, pathsOf, SUBFLOW, subflow } from "./daemon-support.ts";
import { HEALTHY, nft } from "./doctor-support.ts";
import { kernelTest, peerTest } from "./support.ts";

const contrib = join(import.meta.dirname, "..", "..", "..", "contrib", "prometheus");
/** Debian's package `prometheus`; elsewhere by these variables. */
const PROMETHEUS = process.env.PROMETHEUS ?? "/usr/bin/prometheus";
const PROMTOOL = process.env.PROMTOOL ?? "/usr/bin/promtool";
const PYTHON = "/usr/bin/python3";
/** Connections one after the other, within this host. */
const FLOOD = `
import socket
mptcp = lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
l = mptcp(); l.bind(("127.0.0.1", 4002)); l.listen(50)
for i in range(12000):
    s = mptcp(); s.connect(("127.0.0.1", 4002)); a = l.accept()[0]
    s.sendall(b"x"); a.recv(1); a.sendall(b"y"); s.close(); a.close()
`;
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

/** Names of the alerts that fire, as Prometheus tells them. */
async function alerts(host: Host): Promise<string[]> {
  const script = `fetch("http://127.0.0.1:9090/api/v1/alerts").then((r) => r.text()).then(console.log, () => console.log("{}"))`;
  const { stdout } = await host.exec([process.execPath, "-e", script]);
  const { data } = JSON.parse(stdout) as { data?: { alerts: { state: string; labels: { alertname: string } }[] } };
  return (data?.alerts ?? [])
    .filter(({ state }) => state === "firing")
    .map(({ labels }) => labels.alertname)
    .sort();
}

async function noTroubles(daemon: DaemonProcess): Promise<boolean> {
  return (await daemon.hello())?.troubles.length === 0;
}

/**
 * Not played here, each with its reason in contrib/README.md: SubflowConnectionsWithoutSubflow, SubflowMiddlebox, SubflowSlow,
 * SubflowWatchdogMissed, SubflowSubflowsBreak, SubflowPathInQuarantine, SubflowFallback. promtool tests them.
 */
peerTest("metrics: a real Prometheus is silent while all is well, and says when it is not", PROMETHEUS, async (t) => {
  if (!existsSync(PYTHON)) return t.skip(`needs ${PYTHON}`);
  await using lab = await Lab.create(HEALTHY);
  const client = lab.host("client");
  await client.ip(["link set lo up"]);
  const quota = (amount: string) =>
    `path_manager: userspace\ninterfaces: [{ name: wifi, role: subflow, quota: ${amount} }]\n`;
  const file = configFile(quota("5GB/month"));
  const daemon = await DaemonProcess.start(lab, client, "--config", file);
  const connection = await connected(lab);
  const exporter = client.spawn([process.execPath, SUBFLOW, "metrics"], { stdio: "ignore" });
  // As they are, but sooner.
  const rules = join(folder, "alerts.yaml");
  writeFileSync(rules, readFileSync(join(contrib, "alerts.yaml"), "utf8").replace(/for: \d+[ms]/g, "for: 2s"));
  const config = join(folder, "prometheus.yaml");
  writeFileSync(
    config,
    `global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: [${JSON.stringify(rules)}]\n` +
      `scrape_configs: [{ job_name: subflow, static_configs: [{ targets: ["127.0.0.1:9822"] }] }]\n`,
  );
  const storage = join(folder, "prometheus");
  const args = [`--config.file=${config}`, `--storage.tsdb.path=${storage}`, "--web.listen-address=127.0.0.1:9090"];
  const prometheus = client.spawn([PROMETHEUS, ...args], { stdio: "ignore" });
  const up = `fetch("http://127.0.0.1:9090/api/v1/query?query=count_over_time(subflow_connections[1m])").then((r) => r.text()).then(console.log, () => console.log(""))`;
  const isScraped = async (): Promise<boolean> =>
    /"value":\[[\d.]+,"([5-9]|\d\d+)"\]/.test((await client.exec([process.execPath, "-e", up])).stdout);
  await lab.waitFor(isScraped, 3 * DEADLINE, "five scrapes");
  assert.deepEqual(await alerts(client), []);
  const fires = (name: string): Promise<unknown> =>
    lab.waitFor(async () => (await alerts(client)).includes(name), 3 * DEADLINE, `${name} fires`);
  const goes = (name: string): Promise<unknown> =>
    lab.waitFor(async () => !(await alerts(client)).includes(name), 3 * DEADLINE, `${name} is over`);
  // What was used is a little less than the quota.
  await transfer(connection.client, connection.server, 100_000);
  // Counters are read every ten seconds, and at a reload: what one reading leaves out would be above the quota at the next.
  let used = 0;
  const isAllCounted = async (): Promise<boolean> => {
    const before = used;
    await daemon.ask("reload");
    used = (await daemon.hello())?.quotas?.[0]?.used ?? 0;
    return used > 1000 && used === before;
  };
  await lab.waitFor(isAllCounted, DEADLINE, "all bytes are counted");
  writeFileSync(file, quota(`${Math.ceil((used * 1.15) / 1000)}kB/month`));
  await daemon.ask("reload");
  await fires("SubflowQuotaNearlyUsed");
  assert.deepEqual(await alerts(client), ["SubflowQuotaNearlyUsed"]);
  // Its path is off then, so that there is one path too.
  writeFileSync(file, quota("1kB/month"));
  await daemon.ask("reload");
  await transfer(connection.client, connection.server, 100_000);
  await fires("SubflowQuotaUsed");
  writeFileSync(file, quota("5GB/month"));
  await daemon.ask("reload");
  const isQuiet = async (): Promise<boolean> => (await alerts(client)).length === 0;
  await lab.waitFor(isQuiet, 3 * DEADLINE, "nothing is wrong any more");
  await client.ip(["link set cellular down"]);
  await fires("SubflowMostOnOnePath");
  assert.deepEqual(await alerts(client), ["SubflowMostOnOnePath"]);
  // On the path that is left nothing comes back any more.
  await nft(client, "iifname wifi meta l4proto tcp drop");
  const during = transfer(connection.client, connection.server, 100_000).catch(() => undefined);
  await fires("SubflowStalled");
  await client.exec(["nft", "delete", "table", "inet", "lab"]);
  await during;
  await goes("SubflowStalled");
  // A directory that others can write is none for a black box; what came meanwhile is lost.
  const { directory = "" } = (await daemon.hello())?.blackBox ?? {};
  chmodSync(directory, 0o777);
  writeFileSync(file, `${quota("5GB/month")}black_box: 1MB\n`);
  await daemon.ask("reload");
  await fires("SubflowTroubles");
  chmodSync(directory, 0o750);
  await lab.waitFor(() => daemon.ask("recording").then(() => noTroubles(daemon)), 3 * DEADLINE, "it is written again");
  await goes("SubflowTroubles");
  await fires("SubflowBlackBoxLoses");
  // What a daemon that stands still is told of 12,000 connections is more than waits for it.
  daemon.signal("SIGSTOP");
  await client.exec([PYTHON, "-c", FLOOD]);
  daemon.signal("SIGCONT");
  await fires("SubflowOverruns");
  await goes("SubflowDaemonDown");
  await daemon.end("SIGKILL");
  await fires("SubflowDaemonDown");
  assert.deepEqual([await ended(prometheus, "SIGTERM"), await ended(exporter, "SIGTERM")], [0, 0]);
  connection.destroy();
});
