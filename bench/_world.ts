import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Host, Lab } from "../src/lab/index.ts";
import { MptcpPm } from "../src/netlink/index.ts";
import { type Address, ENDPOINT_FLAG } from "../src/types/index.ts";
import type { Programs } from "./_programs.ts";
import { spinUntil } from "./_support.ts";

/** Who opens the second subflow. */
export type Manager =
  | "in-kernel"
  | "C floor"
  | "mptcpd"
  | "subflow"
  | "subflow spinning"
  | "20 rules"
  | "20 rules by user"
  | "plug-in"
  | "nobody";

/** The server's address, its first port and the number of ports: several, so that 4-tuples last. */
export const SERVER = ["10.0.1.2", "5000", "16"] as const;
const LOCAL = "10.0.2.1";
export const MPTCPD = "/usr/libexec/mptcpd";
const SUBFLOW = join(import.meta.dirname, "..", "..", "bin", "subflow");
const DEADLINE = 10_000;

/** A client with two links to a server, a path manager at the client, echoing applications at the server. */
export interface World extends AsyncDisposable {
  readonly client: Host;
  readonly server: Host;
  readonly manager: Manager;
  /** The manager's process; undefined for the kernel's own. */
  readonly process: ChildProcess | undefined;
}

/** Ours with the one endpoint that the others have, and nothing else to do. */
export const FIXED = [
  "automatic: false",
  "limits: { subflows: 2, add_addr_accepted: 0 }",
  `endpoints: [{ address: ${LOCAL}, flags: [subflow] }]`,
];

/**
 * Makes the world of a manager; every manager meets the same one.
 * @param config ours, line by line
 */
export async function makeWorld(manager: Manager, programs: Programs, config = FIXED): Promise<World> {
  const link = (name: string, n: number) => ({
    name,
    ends: { client: [`10.0.${n}.1/24`], server: [`10.0.${n}.2/24`] },
  });
  const sysctls = { "net.ipv4.ip_local_port_range": "10000 65000", "net.ipv4.tcp_max_syn_backlog": 8192 };
  const pmType = manager === "in-kernel" ? 0 : 1;
  const lab = await Lab.create({
    hosts: {
      client: { sourceRoutes: true, sysctls: { ...sysctls, "net.mptcp.pm_type": pmType } },
      server: { sysctls: { ...sysctls, "net.core.somaxconn": 8192 } },
    },
    links: [link("eth1", 1), link("eth2", 2)],
  });
  const [client, server] = [lab.host("client"), lab.host("server")];
  using serverPm = MptcpPm.open({ netns: server.netns });
  serverPm.setLimits({ subflows: 8, addAddrAccepted: 0 });
  const service = server.spawn([programs.program("traffic"), "serve", ...SERVER], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await line(service);
  const process = await startManager(manager, client, programs, config);
  const dispose = async (): Promise<void> => {
    await end(process);
    service.stdin?.end();
    await lab[Symbol.asyncDispose]();
  };
  return { client, server, manager, process, [Symbol.asyncDispose]: dispose };
}

/** Starts a manager (again). Resolves when it serves connections. */
export async function startManager(
  manager: Manager,
  client: Host,
  programs: Programs,
  lines = FIXED,
): Promise<ChildProcess | undefined> {
  switch (manager) {
    case "in-kernel": {
      using pm = MptcpPm.open({ netns: client.netns });
      pm.setLimits({ subflows: 2, addAddrAccepted: 0 });
      pm.addEndpoint({ address: LOCAL as Address, flags: ENDPOINT_FLAG.subflow });
      return undefined;
    }
    case "C floor": {
      const child = client.spawn([programs.program("floor"), LOCAL], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await line(child);
      return child;
    }
    case "mptcpd":
      return startMptcpd(client, programs);
    case "subflow":
      return startSubflow(client, programs, lines);
    case "subflow spinning":
      return startSubflow(client, programs, ["answers: { spin: true }", ...lines], "spin");
    case "20 rules":
      return startSubflow(client, programs, [...lines, ...rules("remote_port")], "rules");
    case "20 rules by user":
      return startSubflow(client, programs, [...lines, ...rules("user")], "user-rules");
    case "plug-in":
      return startSubflow(client, programs, [...lines, ...plugin(programs)], "plug-in", "plugin:bench answers");
    case "nobody":
      return undefined;
  }
}

/** Nineteen that are for others, and one for all: what is measured is treated by the last. */
function rules(key: "remote_port" | "user"): string[] {
  const others = Array.from({ length: 19 }, (_, nth) => `  - { match: { ${key}: ${20_000 + nth} }, policy: refresh }`);
  return ["rules:", ...others, "  - { match: {}, policy: resilient }"];
}

/** `resilient` for one endpoint, as somebody would write it, in a process of its own. */
function plugin(programs: Programs): string[] {
  const file = join(programs.directory, "bench.mjs");
  writeFileSync(file, PLUGIN);
  // Its process is nobody's.
  chmodSync(programs.directory, 0o755);
  return [`plugins: { bench: ${file} }`, "policy: plugin:bench"];
}

const PLUGIN = `export const policy = {
  name: "bench",
  plan: (view) => ({
    subflows: [
      ...view.subflows.map((keep) => ({ keep })),
      ...view.pairs.filter(({ subflows, blocked }) => subflows.length === 0 && blocked === "").map((open) => ({ open })),
    ],
  }),
};
`;

async function startMptcpd(client: Host, programs: Programs): Promise<ChildProcess> {
  programs.plugin();
  const words = [
    `--plugin-dir=${programs.pluginDirectory}`,
    "--path-manager=bench",
    "--load-plugins=bench",
    "--log=null",
  ];
  const environment = { ...process.env, SUBFLOW_BENCH_LOCAL: LOCAL };
  const child = client.spawn([MPTCPD, ...words], {
    stdio: ["ignore", "ignore", "inherit"],
    env: environment,
  });
  await listening(client, child);
  return child;
}

async function startSubflow(
  client: Host,
  programs: Programs,
  lines: readonly string[],
  name = "subflow",
  ready = "",
): Promise<ChildProcess> {
  const config = join(programs.directory, `${name}.yaml`);
  writeFileSync(config, `${lines.join("\n")}\n`);
  const words = ["run", "--path-manager", "userspace", "--config", config];
  const environment = { ...process.env, SUBFLOW_RUNTIME_DIRECTORY: join(programs.directory, `run-${name}`) };
  const node = [process.execPath, ...(process.env.SUBFLOW_BENCH_NODE?.split(" ") ?? [])];
  const child = client.spawn([...node, SUBFLOW, ...words], {
    stdio: ["ignore", "inherit", "pipe"],
    env: environment,
  });
  // It serves before, but a figure of a code that is being compiled says nothing of the next day.
  const said: string[] = [];
  for await (const text of createInterface({ input: child.stderr! })) {
    said.push(text);
    if (said.some((line) => line.includes("warmed up")) && said.some((line) => line.includes(ready))) break;
  }
  child.stderr?.on("data", (bytes: Buffer) => process.stderr.write(bytes));
  return child;
}

/** mptcpd says nothing when it is ready: it is when a generic netlink socket of it has joined a group. */
async function listening(client: Host, child: ChildProcess): Promise<void> {
  const end = performance.now() + DEADLINE;
  for (;;) {
    const { stdout } = await client.exec(["cat", "/proc/net/netlink"]);
    const joined = stdout.split("\n").some((row) => {
      const [, protocol, port, groups = "0"] = row.trim().split(/\s+/);
      return protocol === "16" && port === String(child.pid) && !/^0*$/.test(groups);
    });
    if (joined) return;
    if (performance.now() > end || child.exitCode !== null) throw new Error("mptcpd does not listen");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Resolves with the first line that a process prints. */
export async function line(child: ChildProcess): Promise<string> {
  const output = createInterface({ input: child.stdout! });
  const ended = once(child, "exit").then(() => {
    throw new Error(`${child.spawnargs.join(" ")} ended before it said anything`);
  });
  ended.catch(() => undefined);
  const [text] = (await Promise.race([once(output, "line"), ended])) as [string];
  return text;
}

/** Ends a process, and waits for its end. */
export async function end(child: ChildProcess | undefined, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

/** Turns of the loop until so many connections of the namespace have their second subflow. */
export async function joined(pm: MptcpPm, count: number): Promise<void> {
  const done = (): boolean => pm.connections().filter(({ extraSubflows }) => extraSubflows > 0).length >= count;
  await spinUntil(done, 60_000, `${count} second subflows`);
}
