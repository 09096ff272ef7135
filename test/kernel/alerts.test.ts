import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { type Host, Lab, type Service, type TrafficConnection, transfer } from "../../src/lab/index.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE, pathsOf, SUBFLOW, subflowsOf } from "./daemon-support.ts";
import { HEALTHY, nft } from "./doctor-support.ts";
import { peerTest } from "./support.ts";

const contrib = join(import.meta.dirname, "..", "..", "..", "contrib");
/** Debian's package `prometheus`; elsewhere by this variable. */
const PROMETHEUS = process.env.PROMETHEUS ?? "/usr/bin/prometheus";
const PYTHON = "/usr/bin/python3";
const folder = dirname(configFile(""));
/** More than ten, which is what the rule calls many. */
const FALLEN = 12;
/** Losses of thirty subflows are what the rule calls again and again. */
const BROKEN = 40;
/** Connections one after the other, within this host. */
const FLOOD = `
import socket
mptcp = lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
l = mptcp(); l.bind(("127.0.0.1", 4002)); l.listen(50)
for i in range(12000):
    s = mptcp(); s.connect(("127.0.0.1", 4002)); a = l.accept()[0]
    s.sendall(b"x"); a.recv(1); a.sendall(b"y"); s.close(); a.close()
`;

const quota = (amount: string): string =>
  `path_manager: userspace\ninterfaces: [{ name: wifi, role: subflow, quota: ${amount} }]\n`;
const PLENTY = quota("5GB/month");

/** A line of paths in, a line of what is found there out; null where Prometheus does not answer yet. */
const ASKER = `
import { createInterface } from "node:readline";
for await (const line of createInterface({ input: process.stdin })) {
  const get = (path) => fetch("http://127.0.0.1:9090/api/v1/" + path).then((answer) => answer.json()).then(({ data }) => data);
  console.log(JSON.stringify(await Promise.all(JSON.parse(line).map(get)).catch(() => null)));
}
`;

/** A client with two paths, its daemon, an exporter, and a Prometheus that scrapes it. */
interface Scene {
  readonly lab: Lab;
  readonly client: Host;
  readonly server: Host;
  readonly service: Service;
  readonly connection: TrafficConnection;
  readonly daemon: DaemonProcess;
  readonly prometheus: Prometheus;
  /** A configuration, which the daemon takes. */
  configure(text: string): Promise<void>;
}

/** What a machine that is busy for a second brings by itself: a path waits, one of few decisions is slow. */
const WEATHER: ReadonlySet<string> = new Set(["SubflowStalled", "SubflowSlow"]);

/** A real one, with the rules of contrib/, but sooner. */
class Prometheus {
  readonly #lab: Lab;
  readonly process: ChildProcess;
  readonly #asker: ChildProcess;
  readonly #answers: Interface;
  /** What has fired so far, and what may have: nothing else is to be seen at any look. */
  readonly #allowed = new Set<string>(WEATHER);

  constructor(lab: Lab, host: Host) {
    this.#lab = lab;
    const rules = join(folder, "alerts.yaml");
    const text = readFileSync(join(contrib, "prometheus", "alerts.yaml"), "utf8");
    writeFileSync(rules, text.replace(/for: \d+[ms]/g, "for: 500ms"));
    const config = join(folder, "prometheus.yaml");
    writeFileSync(
      config,
      `global: { scrape_interval: 1s, evaluation_interval: 500ms }\nrule_files: [${JSON.stringify(rules)}]\n` +
        `scrape_configs: [{ job_name: subflow, static_configs: [{ targets: ["127.0.0.1:9822"] }] }]\n`,
    );
    const storage = `--storage.tsdb.path=${join(folder, "prometheus")}`;
    const args = [`--config.file=${config}`, storage, "--web.listen-address=127.0.0.1:9090"];
    this.process = host.spawn([PROMETHEUS, ...args], { stdio: "ignore" });
    // What listens at loopback there is asked from there.
    this.#asker = host.spawn([process.execPath, "--input-type=module", "-e", ASKER], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#answers = createInterface({ input: this.#asker.stdout! });
  }

  /** What it answers, null where it does not yet. */
  async #ask(paths: readonly string[]): Promise<unknown[] | null> {
    const answer = once(this.#answers, "line") as Promise<[string]>;
    this.#asker.stdin!.write(`${JSON.stringify(paths)}\n`);
    return JSON.parse((await answer)[0]) as unknown[] | null;
  }

  /** The samples that expressions give at this moment, of each how many and how many that are numbers. */
  async evaluate(expressions: readonly string[]): Promise<{ expression: string; samples: number; numbers: number }[]> {
    const answers = await this.#ask(expressions.map((each) => `query?query=${encodeURIComponent(each)}`));
    return expressions.map((expression, nth) => {
      const { result = [] } = (answers?.[nth] ?? {}) as { result?: { value: [number, string] }[] };
      return { expression, samples: result.length, numbers: result.filter(({ value }) => value[1] !== "NaN").length };
    });
  }

  async scrapes(): Promise<number> {
    const answer = await this.#ask(["query?query=count_over_time(subflow_daemon_up[1m])"]);
    const [{ result }] = (answer ?? [{ result: [] }]) as [{ result: { value: [number, string] }[] }];
    return Number(result[0]?.value[1] ?? 0);
  }

  /** Names of the alerts that fire. */
  async firing(): Promise<string[]> {
    const [data] = (await this.#ask(["alerts"])) as [{ alerts: { state: string; labels: { alertname: string } }[] }];
    const names = data.alerts.filter(({ state }) => state === "firing").map(({ labels }) => labels.alertname);
    assert.deepEqual(
      names.filter((name) => !this.#allowed.has(name)),
      [],
      "fires without its cause",
    );
    return [...new Set(names)].sort();
  }

  /** Waits for alerts that fire. @param and what may, too, from now on: it follows from the same */
  async fires(name: string, and: readonly string[] = [], again?: () => Promise<void>): Promise<void> {
    for (const each of [name, ...and]) this.#allowed.add(each);
    const isFiring = async (): Promise<boolean> => {
      await again?.();
      return (await this.firing()).includes(name);
    };
    await this.#lab.waitFor(isFiring, 3 * DEADLINE, `${name} fires`);
  }

  /** Waits until none of these fires, and lets none fire again. */
  async ends(...names: readonly string[]): Promise<void> {
    const isOver = async (): Promise<boolean> => {
      const firing = await this.firing();
      return !names.some((name) => firing.includes(name));
    };
    await this.#lab.waitFor(isOver, 3 * DEADLINE, `${names} are over`);
    for (const name of names) if (!WEATHER.has(name)) this.#allowed.delete(name);
  }
}

async function fallback({ client, server, service, connection, prometheus }: Scene): Promise<void> {
  // One of the two links has a box that takes MPTCP out of SYNs.
  await nft(server, "tcp flags & (syn | ack) == syn reset tcp option mptcp");
  const plain = await Promise.all(
    Array.from({ length: FALLEN }, () => service.connect(client.netns, { to: "10.0.1.2" })),
  );
  await server.exec(["nft", "delete", "table", "inet", "lab"]);
  await prometheus.fires("SubflowFallback");
  assert.ok((await transfer(connection.client, connection.server, 1000)).isIntact);
  for (const each of plain) each.destroy();
  await prometheus.ends("SubflowFallback");
}

/** Bytes. */
const MUCH = 100_000;

async function quotas({ lab, connection, daemon, configure, prometheus }: Scene): Promise<void> {
  // What was used is a little less than the quota: of much, because a packet or two that come later are a little, too.
  // Counters are read every ten seconds, and at a reload: what one reading leaves out would be above the quota at the next.
  let used = 0;
  const isAllCounted = async (): Promise<boolean> => {
    if (used < MUCH) await transfer(connection.client, connection.server, 500_000);
    const before = used;
    await daemon.ask("reload");
    used = (await daemon.hello())?.quotas?.[0]?.used ?? 0;
    return used >= MUCH && used === before;
  };
  await lab.waitFor(isAllCounted, 3 * DEADLINE, () => `${MUCH} bytes and no more are counted; now ${used}`);
  await configure(quota(`${Math.ceil((used * 1.15) / 1000)}kB/month`));
  await prometheus.fires("SubflowQuotaNearlyUsed");
  // Its path is off then, so that there is one path too.
  await configure(quota("1kB/month"));
  await transfer(connection.client, connection.server, 100_000);
  await prometheus.fires("SubflowQuotaUsed", ["SubflowMostOnOnePath"]);
  await configure(PLENTY);
  await prometheus.ends("SubflowQuotaNearlyUsed", "SubflowQuotaUsed", "SubflowMostOnOnePath");
}

async function outage({ lab, client, connection, prometheus }: Scene): Promise<void> {
  await client.ip(["link set cellular down"]);
  await prometheus.fires("SubflowMostOnOnePath");
  // On the path that is left nothing comes back any more.
  await nft(client, "iifname wifi meta l4proto tcp drop");
  const during = transfer(connection.client, connection.server, 100_000).catch(() => undefined);
  await prometheus.fires("SubflowStalled");
  // Somebody resets what is left of it (a firewall that forgot its connections), and nothing new gets through.
  await client.exec(["ss", "-K", "src", "10.0.1.1"]);
  await prometheus.fires("SubflowConnectionsWithoutSubflow");
  await client.exec(["nft", "delete", "table", "inet", "lab"]);
  await client.ip(["link set cellular up", "route replace default via 10.0.2.2 dev cellular metric 200"]);
  await during;
  await lab.waitFor(() => pathsOf(client).length === 2, 3 * DEADLINE, "two subflows again");
  await prometheus.ends("SubflowStalled", "SubflowConnectionsWithoutSubflow", "SubflowMostOnOnePath");
}

/** Takes what MPTCP says of data out, on one path after it was joined: the server resets it for that reason, and it is not tried again soon. */
async function middlebox({ lab, client, server, service, prometheus }: Scene): Promise<void> {
  const before = pathsOf(client).length;
  const connection = await service.connect(client.netns, { to: "10.0.1.2", from: "10.0.1.1" });
  await transfer(connection.client, connection.server, 1000);
  await lab.waitFor(() => pathsOf(client).length >= before + 2, DEADLINE, "two subflows");
  await nft(server, "iifname cellular tcp flags & syn == 0 reset tcp option mptcp");
  await prometheus.fires("SubflowMiddlebox", ["SubflowMostOnOnePath", "SubflowStalled"], async () => {
    await transfer(connection.client, connection.server, 100_000);
  });
  await server.exec(["nft", "delete", "table", "inet", "lab"]);
  connection.destroy();
}

/** Small transfers, one after the other: nothing piles up, and the kernel sends them on the first path, as nothing waits there. */
const TURNS = 40;

/** Every fourth packet of data is lost on the path that the kernel would rather use. One that is silent for long is closed instead, and played again. */
async function quarantine({ lab, client, server, service, daemon, prometheus }: Scene): Promise<void> {
  const before = pathsOf(client).length;
  const isOneAside = async (): Promise<boolean> => {
    const { connections } = await daemon.ask("watch", { kinds: ["connection"] });
    return connections.some(({ subflows }) => subflows.some(({ quarantined }) => quarantined));
  };
  const connect = async (): Promise<TrafficConnection> => {
    const connection = await service.connect(client.netns, { to: "10.0.1.2", from: "10.0.1.1" });
    await transfer(connection.client, connection.server, 1000);
    await lab.waitFor(() => pathsOf(client).length >= before + 2, DEADLINE, "two subflows");
    await nft(server, "iifname wifi meta l4proto tcp meta length > 500 numgen inc mod 4 == 0 drop");
    return connection;
  };
  const leave = async (of: TrafficConnection): Promise<void> => {
    await server.exec(["nft", "delete", "table", "inet", "lab"]);
    of.destroy();
    await lab.waitFor(() => pathsOf(client).length <= before, 3 * DEADLINE, "its subflows are gone");
  };
  let connection = await connect();
  await prometheus.fires("SubflowPathInQuarantine", ["SubflowMostOnOnePath"], async () => {
    for (let turn = 0; turn < TURNS; turn++) {
      if (await isOneAside()) return;
      await transfer(connection.client, connection.server, 8000);
    }
    await leave(connection);
    connection = await connect();
  });
  await leave(connection);
  await prometheus.ends("SubflowPathInQuarantine", "SubflowMostOnOnePath");
}

async function breaking({ lab, client, server, service, prometheus }: Scene): Promise<void> {
  const more = await Promise.all(
    Array.from({ length: BROKEN }, () => service.connect(client.netns, { to: "10.0.1.2", from: "10.0.1.1" })),
  );
  for (const each of more) await transfer(each.client, each.server, 1000);
  const paths = 2 * connectionsOf(client).length;
  await lab.waitFor(() => pathsOf(client).length === paths, 3 * DEADLINE, "all subflows");
  // What is joined over one path is reset by the other end, again and again.
  await prometheus.fires("SubflowSubflowsBreak", ["SubflowMostOnOnePath"], async () => {
    await server.exec(["ss", "-K", "dst", "10.0.2.1"]);
  });
  for (const each of more) each.destroy();
  await lab.waitFor(() => subflowsOf(client).length === 2, 3 * DEADLINE, "only the first connection is left");
  await prometheus.ends("SubflowMostOnOnePath");
}

/** The kernel takes 60 ms for each answer, then it gives none. */
async function kernel({ lab, server, connection, daemon, prometheus }: Scene): Promise<void> {
  daemon.signal("SIGUSR2");
  await daemon.logged(/the kernel is late/);
  let has = false;
  const isSlow = async (): Promise<boolean> => {
    // What the server announces and takes back is answered at once; what was lost is tried again later, which is no answer.
    await server.ip([`mptcp endpoint ${has ? "delete" : "add 10.0.2.2"} id 9 ${has ? "" : "signal"}`]);
    has = !has;
    const { bounds = [], counts = [] } = (await daemon.hello())?.latency?.decisions ?? {};
    return counts.some((count, at) => count > 0 && (bounds[at - 1] ?? 0) >= 50);
  };
  await lab.waitFor(isSlow, 3 * DEADLINE, "a decision that took 50 ms");
  if (has) await server.ip(["mptcp endpoint delete id 9"]);
  daemon.signal("SIGUSR2");
  await daemon.logged(/the kernel is silent/);
  await prometheus.fires("SubflowWatchdogMissed", ["SubflowSlow", "SubflowTroubles", "SubflowMostOnOnePath"]);
  daemon.signal("SIGUSR2");
  await daemon.logged(/the kernel is well/);
  await prometheus.fires("SubflowSlow");
  await prometheus.ends("SubflowTroubles");
  assert.ok((await transfer(connection.client, connection.server, 1000)).isIntact);
}

async function blackBox({ lab, daemon, configure, prometheus }: Scene): Promise<void> {
  // A directory that others can write is none for a black box; what came meanwhile is lost.
  const { directory = "" } = (await daemon.hello())?.blackBox ?? {};
  chmodSync(directory, 0o777);
  await configure(`${PLENTY}black_box: 1MB\n`);
  await prometheus.fires("SubflowTroubles", ["SubflowBlackBoxLoses"]);
  chmodSync(directory, 0o750);
  const hasNone = async (): Promise<boolean> => {
    await daemon.ask("recording");
    return (await daemon.hello())?.troubles.length === 0;
  };
  await lab.waitFor(hasNone, 3 * DEADLINE, "it is written again");
  await prometheus.ends("SubflowTroubles");
  await prometheus.fires("SubflowBlackBoxLoses");
}

/** What a daemon that stands still is told of 12,000 connections is more than waits for it. */
async function overruns({ client, daemon, prometheus }: Scene): Promise<void> {
  daemon.signal("SIGSTOP");
  await client.exec([PYTHON, "-c", FLOOD]);
  daemon.signal("SIGCONT");
  await prometheus.fires("SubflowOverruns", ["SubflowDaemonDown", "SubflowBlackBoxLoses"]);
  await prometheus.ends("SubflowDaemonDown");
}

/** Every expression of the dashboard, as Grafana would send it for all instances. */
async function dashboard({ lab, prometheus }: Scene): Promise<void> {
  const { panels } = JSON.parse(readFileSync(join(contrib, "grafana", "subflow.json"), "utf8")) as {
    panels: { targets: { expr: string }[] }[];
  };
  const expressions = panels
    .flatMap(({ targets }) => targets.map(({ expr }) => expr))
    .map((expr) => expr.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "2m"));
  assert.ok(expressions.length > 20);
  let empty: unknown[] = [];
  const isWhole = async (): Promise<boolean> => {
    empty = (await prometheus.evaluate(expressions)).filter(({ numbers }) => numbers === 0);
    return empty.length === 0;
  };
  await lab.waitFor(isWhole, DEADLINE, "something for each expression").catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(empty)}`);
  });
  // What there is not would be seen.
  assert.equal((await prometheus.evaluate(["subflow_nothing"]))[0]?.samples, 0);
}

async function ended(process: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exit = once(process, "exit");
  process.kill(signal);
  return (await exit)[0] as number | null;
}

const SCENARIOS = [fallback, quotas, quarantine, outage, breaking, kernel, middlebox, blackBox, overruns, dashboard];

peerTest("alerts: a real Prometheus is silent while all is well, and says when it is not", PROMETHEUS, async (t) => {
  if (!existsSync(PYTHON)) return t.skip(`needs ${PYTHON}`);
  await using lab = await Lab.create(HEALTHY);
  const [client, server] = [lab.host("client"), lab.host("server")];
  await client.ip(["link set lo up"]);
  const file = configFile(PLENTY);
  const daemon = await DaemonProcess.launchScript(lab, client, "alerts-child.js", file).ready();
  const service = await server.listen({ address: "0.0.0.0" });
  const connection = await service.connect(client.netns, { to: "10.0.1.2", from: "10.0.1.1" });
  await transfer(connection.client, connection.server, 1000);
  await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "two subflows");
  const exporter = client.spawn([process.execPath, SUBFLOW, "metrics"], { stdio: "ignore" });
  const prometheus = new Prometheus(lab, client);
  await lab.waitFor(async () => (await prometheus.scrapes()) >= 5, 3 * DEADLINE, "five scrapes");
  assert.deepEqual(await prometheus.firing(), []);
  const configure = async (text: string): Promise<void> => {
    writeFileSync(file, text);
    await daemon.ask("reload");
  };
  const scene = { lab, client, server, service, connection, daemon, prometheus, configure };
  for (const play of SCENARIOS) {
    const begin = performance.now();
    await play(scene);
    t.diagnostic(`${play.name}: ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  }
  await daemon.end("SIGKILL");
  await prometheus.fires("SubflowDaemonDown");
  assert.deepEqual([await ended(prometheus.process, "SIGTERM"), await ended(exporter, "SIGTERM")], [0, 0]);
  connection.destroy();
});
