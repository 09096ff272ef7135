import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Host, Lab, type Topology, type TrafficConnection, transfer } from "../../src/lab/index.ts";
import { SUBFLOW } from "../compat/support.ts";

/** Two ways to a server, each with a default route, and everything as it should be. */
export const HEALTHY: Topology = {
  hosts: {
    client: {
      sourceRoutes: true,
      routes: ["default via 10.0.1.2 dev wifi metric 100", "default via 10.0.2.2 dev cellular metric 200"],
    },
    server: {},
  },
  links: [
    { name: "wifi", ends: { client: ["10.0.1.1/24"], server: ["10.0.1.2/24"] } },
    { name: "cellular", ends: { client: ["10.0.2.1/24"], server: ["10.0.2.2/24"] } },
  ],
};

export interface Found {
  readonly id: string;
  readonly level: string;
  readonly seen: string;
  readonly fix: readonly string[];
}

export interface Examination {
  readonly status: number | null;
  readonly level: string;
  readonly findings: readonly Found[];
  readonly not_looked: readonly { what: string; why: string }[];
  readonly applied: readonly { command: string; error?: string }[];
}

export function doctor(host: Host, ...words: string[]): Promise<Examination> {
  return doctorUnder([], host, ...words);
}

/** The doctor as the command of another command. */
export async function doctorUnder(under: readonly string[], host: Host, ...words: string[]): Promise<Examination> {
  const environment = ["env", `SUBFLOW_RUNTIME_DIRECTORY=${RUNTIME}`];
  const command = [...environment, ...under, process.execPath, SUBFLOW, "-j", "doctor", ...words];
  const { status, stdout, stderr } = await host.exec(command, { mayFail: true });
  assert.notEqual(stdout, "", stderr);
  return { ...(JSON.parse(stdout) as Examination), status };
}

export const RUNTIME = mkdtempSync(join(tmpdir(), "subflow-doctor-"));
process.on("exit", () => rmSync(RUNTIME, { recursive: true, force: true }));

/** A lab with endpoints on the client, as `subflow run` would have them. */
export async function healthyLab(): Promise<Lab> {
  const lab = await Lab.create(HEALTHY);
  await lab
    .host("client")
    .ip(["mptcp endpoint add 10.0.1.1 dev wifi subflow", "mptcp endpoint add 10.0.2.1 dev cellular subflow"]);
  return lab;
}

/** A connection begun on wifi, on which data went both ways. */
export async function connected(lab: Lab): Promise<TrafficConnection> {
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  const connection = await service.connect(lab.host("client").netns, { to: "10.0.1.2", from: "10.0.1.1" });
  await transfer(connection.client, connection.server, 1000);
  await transfer(connection.server, connection.client, 1000);
  return connection;
}

export async function counted(lab: Lab, host: string, counter: string): Promise<void> {
  await lab.waitFor(() => (lab.host(host).counters()[counter] ?? 0) > 0, 10_000, `${counter} on ${host}`);
}

export function nft(host: Host, ...rules: string[]): Promise<unknown> {
  const lines = [
    "add table inet lab",
    "add chain inet lab in { type filter hook input priority 0; }",
    ...rules.map((rule) => `add rule inet lab in ${rule}`),
  ];
  return host.exec(["nft", "-f", "-"], { input: `${lines.join("\n")}\n` });
}

/** A rule for what leaves. */
export function nftOutput(host: Host, rule: string): Promise<unknown> {
  const lines = ["add table inet lab", "add chain inet lab out { type filter hook output priority 0; }"];
  return host.exec(["nft", "-f", "-"], { input: `${lines.join("\n")}\nadd rule inet lab out ${rule}\n` });
}

/** Nothing of a link but its network: no default route, and no table for its addresses. */
export async function withoutRoutes(host: Host, link: string): Promise<void> {
  for (const table of ["main", "100", "101"]) {
    await host.exec(["ip", "route", "del", "default", "dev", link, "table", table], { mayFail: true });
  }
}

/** Runs a copy of cat(1) under another name. */
export async function impostor(host: Host, name: string): Promise<ChildProcess> {
  const file = join(RUNTIME, name);
  copyFileSync("/bin/cat", file);
  const child = host.spawn([file], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin?.write("\n");
  await once(child.stdout!, "data");
  return child;
}

/** Our daemon, which does nothing but be there. */
export async function ourDaemon(lab: Lab, host: Host): Promise<void> {
  const command = ["env", `SUBFLOW_RUNTIME_DIRECTORY=${RUNTIME}`, process.execPath, SUBFLOW];
  host.spawn([...command, "run", "--no-automatic", "--config", "/dev/null"], { stdio: "ignore" });
  const report = [...command, "-j", "report", "--window", "0"];
  const isThere = async () => (JSON.parse((await host.exec(report)).stdout) as { daemon?: unknown }).daemon;
  await lab.waitFor(isThere, 20_000, "the daemon");
}

/** A server of plain TCP that answers on port 7000. */
export async function plainServer(host: Host): Promise<void> {
  const program = `require("node:net").createServer((s) => s.on("error", () => {})).listen(7000, () => console.log("ready"))`;
  const child = host.spawn([process.execPath, "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout!, "data");
}

/** Connects from a host with MPTCP, until it is connected. */
export function mptcpClient(host: Host, to: string): Promise<unknown> {
  const native = new URL("../../src/netlink/index.js", import.meta.url);
  const program = `
    const { loadNative } = await import(${JSON.stringify(native.href)});
    const { Socket } = await import("node:net");
    const native = loadNative();
    const fd = native.mptcpSocket(2, -1);
    native.connect(fd, Uint8Array.from(${JSON.stringify(to.split(".").map(Number))}), 7000);
    const socket = new Socket({ fd, readable: true, writable: true });
    socket.write("x", () => process.exit(0));`;
  return host.exec([process.execPath, "--input-type=module", "-e", program]);
}
