import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ask } from "../../control/index.ts";
import type { ConnectionExplanation } from "../../engine/index.ts";
import type { Host, Lab } from "../../lab/index.ts";
import { MptcpPm } from "../../netlink/index.ts";
import { type Address, ENDPOINT_FLAG, type Millis, type Token } from "../../types/index.ts";
import { failure } from "../failure.ts";
import type { DemoState, ManagerName } from "./state.ts";

const READY_DEADLINE: Millis = 10_000;
const END_DEADLINE: Millis = 3000;

/** Who manages the demo's paths, on both hosts. */
export interface DemoManager extends AsyncDisposable {
  readonly name: ManagerName;
  /** Why a path is not used now: one line each. */
  whyNoPath(): Promise<string[]>;
  /** What the connection could have and has not, and why. */
  why(token: Token): Promise<string[]>;
}

interface Scene {
  readonly lab: Lab;
  readonly paths: DemoState["paths"];
  readonly tell: (source: "demo" | "subflow", text: string) => void;
}

/** The in-kernel path manager, configured once: it knows endpoints and limits, and nothing of links. */
export async function kernelManager({ lab, paths, tell }: Scene): Promise<DemoManager> {
  using client = MptcpPm.open({ netns: lab.host("client").netns });
  using server = MptcpPm.open({ netns: lab.host("server").netns });
  const [, cellular] = paths;
  const { backup, subflow } = ENDPOINT_FLAG;
  for (const pm of [client, server]) pm.setLimits({ subflows: 1 });
  client.addEndpoint({ address: cellular.local as Address, flags: backup | subflow });
  tell("demo", `client: endpoint ${cellular.local} subflow backup; limits: 1 further subflow`);
  const nothing = async (): Promise<string[]> => [];
  return { name: "kernel", whyNoPath: nothing, why: nothing, [Symbol.asyncDispose]: async () => {} };
}

/** The client follows its interfaces: endpoints come and go with addresses and carrier. */
const CLIENT_CONFIG = `
path_manager: userspace
remote_addresses: 1
interfaces:
  - { name: wifi, role: primary }
  - { name: cellular, role: backup }
`;
const SERVER_CONFIG = `
path_manager: userspace
automatic: false
`;

/** `subflow run` on both hosts. @param clientConfig instead of the demo's */
export async function ownManager({ lab, tell }: Scene, clientConfig = CLIENT_CONFIG): Promise<DemoManager> {
  const directory = mkdtempSync(join(tmpdir(), "subflow-demo-"));
  // The daemons inherit it, and what is asked of them goes there.
  process.env.SUBFLOW_RUNTIME_DIRECTORY = directory;
  const clean = (): void => rmSync(directory, { recursive: true, force: true });
  const interrupted = (): void => process.exit(130);
  process.once("exit", clean);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupted);
  const start = (name: "client" | "server", config: string): Promise<ChildProcess> => {
    const file = join(directory, `${name}.yaml`);
    writeFileSync(file, config);
    return startDaemon(lab, lab.host(name), file, name === "client" ? (text) => tell("subflow", text) : () => {});
  };
  const [client, server] = await Promise.all([start("client", clientConfig), start("server", SERVER_CONFIG)]);
  if (clientConfig === CLIENT_CONFIG)
    tell("demo", "`subflow run` on both hosts; the client's: wifi is primary, cellular is backup");
  const where = { netns: lab.host("client").netns };
  return {
    name: "subflow",
    whyNoPath: async () => {
      const plan = (await ask("host", {}, where)) as { leftOut?: readonly LeftOutPath[] } | null;
      const paths = plan?.leftOut?.filter(({ what }) => /^10\./.test(what)) ?? [];
      return paths.map(({ what, reason }) => `no path: ${what}: ${reason}`);
    },
    why: async (token) => {
      const [answer] = (await ask("why", { tokens: [token] }, where)) as readonly (ConnectionExplanation | null)[];
      return (answer?.leftOut ?? []).map(({ what, address, reason }) => `no ${what} ${address}: ${reason}`);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([client, server].map(endDaemon));
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupted);
      process.off("exit", clean);
      clean();
    },
  };
}

interface LeftOutPath {
  readonly what: string;
  readonly reason: string;
}

/** Resolves when it answers. It is killed with the lab, or when we die. */
async function startDaemon(lab: Lab, host: Host, config: string, said: (text: string) => void): Promise<ChildProcess> {
  const command = [process.execPath, process.argv[1] ?? "", "run", "--config", config, "--log-level", "debug"];
  const child = host.spawn(command, { stdio: ["ignore", "ignore", "pipe"] });
  const errors: string[] = [];
  createInterface({ input: child.stderr! }).on("line", (line) => {
    const text = deedOf(line, errors);
    if (text !== undefined) said(text);
  });
  const isReady = async (): Promise<boolean> => {
    if (child.exitCode !== null) throw failure(`Error: subflow run on ${host.name} ended at once. ${errors.join(" ")}`);
    const hello = await ask("hello", {}, { netns: host.netns }).catch(() => undefined);
    return hello?.pid === child.pid;
  };
  await lab.waitFor(isReady, READY_DEADLINE, `subflow run on ${host.name}`);
  return child;
}

async function endDaemon(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit", { signal: AbortSignal.timeout(END_DEADLINE) });
  child.kill("SIGTERM");
  // One that does not end by itself is killed with the lab.
  await exit.catch(() => undefined);
}

/** Actions that change something in the kernel; questions and answers are left out. */
const DEEDS = /^(subflow|address)\./;
/** What the host's part of the daemon does is a command of iproute2 in its log. */
const COMMANDS = /^(ip|sysctl|subflow|endpoint|limits) /;

/** What a line of the log says was done; undefined where nothing was. */
function deedOf(line: string, errors: string[]): string | undefined {
  let entry: { level?: number; msg?: string; action?: string; event?: string };
  try {
    entry = JSON.parse(line);
  } catch {
    errors.push(line);
    return undefined;
  }
  const { level = 0, msg = "", action, event } = entry;
  if (level >= 40) errors.push(msg);
  if (event !== undefined) return undefined;
  if (action !== undefined) return DEEDS.test(action) ? msg : undefined;
  return COMMANDS.test(msg) ? msg : undefined;
}
