/**
 * What netlink costs us beside a C program: requests, events, and the list of connections beside ss(8).
 * `npm run bench -- netlink [rounds] [connections]`, default 5000 and 5000. Runs itself in a namespace of its own.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { MptcpPm, NETLINK, NetlinkClient, NetlinkSubscription, Rtnl } from "../src/netlink/index.ts";
import type { Address } from "../src/types/index.ts";
import { decodeFamily, decodeRtnlEvent, encodeGetFamily, GENL_ID_CTRL, MPTCP_PM } from "../src/wire/index.ts";
import { Programs } from "./_programs.ts";
import { printMachine, printTable, type Samples, spinUntil } from "./_support.ts";
import { line, type Manager, makeWorld, SERVER } from "./_world.ts";

const ROUNDS = Number(process.argv[2] ?? 5000);
const CONNECTIONS = Number(process.argv[3] ?? 5000);
/** RTNLGRP_IPV4_IFADDR (linux/rtnetlink.h). */
const ADDRESS_GROUP = 5;
const FLOOD = 100_000;
const LISTS = 30;

const microseconds = (since: bigint): number => Number(process.hrtime.bigint() - since) / 1000;

function inC(program: string, what: string): Samples {
  const { stdout } = spawnSync(program, [what, String(ROUNDS)], { encoding: "utf8", maxBuffer: 1 << 28 });
  return {
    name: `C: ${what}`,
    values: stdout
      .trim()
      .split("\n")
      .map((text) => Number(text) / 1000),
  };
}

function timed(name: string, work: () => unknown): Samples {
  for (let round = 0; round < ROUNDS; round++) work();
  const values = Array.from({ length: ROUNDS }, () => {
    const began = process.hrtime.bigint();
    work();
    return microseconds(began);
  });
  return { name, values };
}

function requests(program: string): void {
  using client = new NetlinkClient(NETLINK.GENERIC);
  using pm = MptcpPm.open();
  const family = {
    operation: "family",
    type: GENL_ID_CTRL,
    write: (writer: Parameters<typeof encodeGetFamily>[0]) => encodeGetFamily(writer, MPTCP_PM.name),
  };
  const ours = timed("subflow: family", () => client.get(family, decodeFamily));
  printTable("round trip, CTRL_CMD_GETFAMILY (decoded; C does not)", "us", [inC(program, "family"), ours]);
  printTable("round trip, GET_LIMITS", "us", [inC(program, "limits"), timed("subflow: limits", () => pm.limits())]);
}

/** RTM_NEWADDR and RTM_DELADDR sent, answered, and the message of it decoded by the callback of another socket. */
async function events(program: string): Promise<void> {
  using rtnl = Rtnl.open();
  const index = rtnl.links().find(({ name }) => name === "lo")?.index ?? 1;
  const address = { address: "127.9.9.9" as Address, prefixLength: 32, interfaceIndex: index };
  let arrived: (() => void) | undefined;
  using subscription = new NetlinkSubscription(NETLINK.ROUTE, [ADDRESS_GROUP], {
    onMessage: (bytes, header) => {
      decodeRtnlEvent(bytes, header);
      arrived?.();
    },
    onOverrun: () => undefined,
  });
  void subscription;
  const values: number[] = [];
  for (let round = -1000; round < ROUNDS; round++) {
    const came = new Promise<number>((resolve) => {
      const began = process.hrtime.bigint();
      arrived = () => resolve(microseconds(began));
      rtnl.changeAddress(round % 2 === 0 ? "add" : "delete", address);
    });
    const duration = await came;
    if (round >= 0) values.push(duration);
  }
  printTable("address changed -> callback (target: 20 us beyond C at p50)", "us", [
    inC(program, "address"),
    { name: "subflow: address", values },
  ]);
}

/** As many messages as a C program can cause, all of them decoded. */
async function flood(program: string): Promise<void> {
  let count = 0;
  let overruns = 0;
  using subscription = new NetlinkSubscription(NETLINK.ROUTE, [ADDRESS_GROUP], {
    onMessage: (bytes, header) => {
      decodeRtnlEvent(bytes, header);
      count++;
    },
    onOverrun: () => overruns++,
  });
  void subscription;
  const { spawn } = await import("node:child_process");
  const before = process.cpuUsage();
  const began = performance.now();
  spawn(program, ["flood", String(FLOOD)], { stdio: "ignore" });
  await spinUntil(() => count >= FLOOD || overruns > 0, 60_000, "the flood");
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(before);
  const rate = Math.round(count / seconds);
  console.log(`\n${count} of ${FLOOD} address events, ${rate}/s (what the generator gives), ${overruns} overruns`);
  console.log(
    `CPU of this process, which turns its loop meanwhile: ${((user + system) / count).toFixed(1)} us an event`,
  );
}

const resident = (): string => `${/^VmRSS:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]} KiB`;

async function lists(manager: Manager, programs: Programs): Promise<void> {
  for (const count of [1, 100, CONNECTIONS]) {
    await using world = await makeWorld(manager, programs);
    using pm = MptcpPm.open({ netns: world.client.netns });
    for (let left = count; left > 0; left -= 1000) {
      const words = [programs.program("traffic"), "hold", ...SERVER, String(Math.min(1000, left))];
      await line(world.client.spawn(words, { stdio: ["pipe", "pipe", "inherit"] }));
    }
    const found = pm.connections();
    if (found.length !== count) throw new Error(`${found.length} of ${count} connections`);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < LISTS; round++) {
      let began = performance.now();
      pm.connections();
      ours.push(performance.now() - began);
      began = performance.now();
      const command = "ss -Mani > /dev/null; ss -tani > /dev/null";
      spawnSync("nsenter", [`--net=${world.client.netns}`, "sh", "-c", command]);
      theirs.push(performance.now() - began);
    }
    const subflows = found.reduce((sum, connection) => sum + connection.subflows.length, 0);
    printTable(
      `connections(): ${count} with ${subflows} subflows, ${manager === "nobody" ? "userspace" : manager}`,
      "ms",
      [
        { name: "ss -Mani; ss -tani", values: theirs },
        { name: "subflow", values: ours },
      ],
    );
    console.log(`RSS of this process: ${resident()}`);
  }
}

if (process.env.SUBFLOW_BENCH_INSIDE === undefined) {
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const options = { stdio: "inherit", env: { ...process.env, SUBFLOW_BENCH_INSIDE: "1" } } as const;
  const { status } = spawnSync(
    "unshare",
    ["--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", ...again],
    options,
  );
  process.exit(status ?? 1);
}
printMachine();
using programs = new Programs();
const program = programs.program("netlink");
requests(program);
await events(program);
await flood(program);
for (const manager of ["in-kernel", "nobody"] as const) await lists(manager, programs);
