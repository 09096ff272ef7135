/**
 * What the host manager is for, beside mptcpd and a bare kernel with static endpoints, in one run:
 * `npm run bench -- host [rounds of table commands] [rounds of lost links]`, default 300 and 300.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Host, Lab, type TrafficConnection } from "../src/lab/index.ts";
import { MptcpPm, Rtnl } from "../src/netlink/index.ts";
import { type Address, ENDPOINT_FLAG, MPTCP_EVENT, parseAddress } from "../src/types/index.ts";
import { printMachine, printTable, type Samples, spinUntil } from "./_support.ts";

const ROUNDS = Number(process.argv[2] ?? 300);
const LOSSES = Number(process.argv[3] ?? 300);
const SUBFLOW = join(import.meta.dirname, "..", "..", "bin", "subflow");
const MPTCPD = "/usr/libexec/mptcpd";
/** A manager that never does it is given up after this. Milliseconds. */
const GIVE_UP = 5000;
const runtime = mkdtempSync(join(tmpdir(), "subflow-bench-"));
process.env.SUBFLOW_RUNTIME_DIRECTORY = runtime;

type Manager = "subflow" | "mptcpd" | "static endpoints";

const ip = (text: string): Address => {
  const address = parseAddress(text);
  if (!address) throw new Error(text);
  return address;
};

interface World {
  readonly lab: Lab;
  readonly client: Host;
  readonly server: Host;
  readonly pm: MptcpPm;
  readonly rtnl: Rtnl;
  readonly index: number;
}

async function withManager(manager: Manager, use: (world: World) => Promise<void>): Promise<void> {
  const link = (name: string, n: number) => ({
    name,
    ends: { client: [`10.0.${n}.1/24`], server: [`10.0.${n}.2/24`] },
  });
  // The kernel tells of a veth's lost carrier at once only when its ends differ in number (linkwatch_urgent_event), else
  // up to a second after the last event of any link on the whole host: the spare link makes them differ.
  const spare = { name: "spare", ends: { server: ["10.9.9.1/30"], other: ["10.9.9.2/30"] } };
  await using lab = await Lab.create({
    hosts: { client: {}, server: {}, other: {} },
    links: [spare, link("eth1", 1), link("eth2", 2)],
  });
  const [client, server] = [lab.host("client"), lab.host("server")];
  await client.ip([1, 2].map((n) => `route add default via 10.0.${n}.2 dev eth${n} metric ${n}00`));
  using pm = MptcpPm.open({ netns: client.netns });
  using serverPm = MptcpPm.open({ netns: server.netns });
  using rtnl = Rtnl.open({ netns: client.netns });
  serverPm.setLimits({ subflows: 8, addAddrAccepted: 0 });
  const process = start(manager, client, pm, rtnl);
  await spinUntil(() => pm.endpoints().length >= 2, GIVE_UP, `${manager}'s endpoints`);
  const index = rtnl.links().find(({ name }) => name === "eth2")?.index ?? 0;
  try {
    await use({ lab, client, server, pm, rtnl, index });
  } finally {
    await end(process);
  }
}

function start(manager: Manager, client: Host, pm: MptcpPm, rtnl: Rtnl): ChildProcess | undefined {
  if (manager === "subflow") return client.spawn([process.execPath, SUBFLOW, "run"], { stdio: "ignore" });
  if (manager === "mptcpd") {
    const args = [
      "--addr-flags=subflow",
      "--notify-flags=existing,skip_link_local,skip_loopback",
      "--path-manager=addr_adv",
    ];
    return client.spawn([MPTCPD, ...args], { stdio: "ignore" });
  }
  pm.setLimits({ subflows: 4 });
  for (const { index, name } of rtnl.links()) {
    const address = { eth1: "10.0.1.1", eth2: "10.0.2.1" }[name];
    if (address) pm.addEndpoint({ address: ip(address), flags: ENDPOINT_FLAG.subflow, interfaceIndex: index });
  }
  return undefined;
}

async function end(process: ChildProcess | undefined): Promise<void> {
  if (!process || process.exitCode !== null) return;
  process.kill("SIGTERM");
  await once(process, "exit");
}

/** Longer than any settling time, and than the kernel's grace period: each change meets a manager at rest. Milliseconds. */
const REST = 70;

const NEW = { address: ip("10.0.2.50"), prefixLength: 24 };

/** RTM_NEWADDR sent → the endpoint is in the kernel's table; RTM_DELADDR → it is not. Microseconds. */
async function tableLatencies(manager: Manager): Promise<{ add: Samples; remove: Samples }> {
  const add: number[] = [];
  const remove: number[] = [];
  await withManager(manager, async ({ pm, rtnl, index }) => {
    const has = (): boolean => pm.endpoints().some(({ address }) => address === NEW.address);
    for (let round = 0; round < ROUNDS; round++) {
      let begin = performance.now();
      rtnl.changeAddress("add", { ...NEW, interfaceIndex: index });
      await spinUntil(has, GIVE_UP, `${manager} to add`);
      add.push((performance.now() - begin) * 1000);
      await pause(REST);
      begin = performance.now();
      rtnl.changeAddress("delete", { ...NEW, interfaceIndex: index });
      await spinUntil(() => !has(), GIVE_UP, `${manager} to remove`);
      remove.push((performance.now() - begin) * 1000);
      await pause(REST);
    }
  });
  return { add: { name: manager, values: add }, remove: { name: manager, values: remove } };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function connect({ client, server, pm }: World): Promise<TrafficConnection> {
  const service = await server.listen({ address: "10.0.1.2" });
  const connection = await service.connect(client.netns);
  await connection.client.send(100);
  await connection.server.received(100);
  await connection.server.send(100);
  await connection.client.received(100);
  await spinUntil(() => established(pm) >= 2, GIVE_UP, "the second subflow");
  return connection;
}

function established(pm: MptcpPm): number {
  return Math.max(
    0,
    ...pm.connections().map(({ subflows }) => subflows.filter(({ state }) => state === "established").length),
  );
}

/**
 * The address of the second subflow is deleted → SUB_CLOSED at the client. Microseconds.
 * @param rest the manager has done with the round before; else the next follows some 15 ms later
 */
async function closeLatencies(manager: Manager, rest: boolean): Promise<Samples> {
  const values: number[] = [];
  await withManager(manager, async (world) => {
    const { pm, rtnl, index } = world;
    let closedAt = 0;
    using watcher = pm.watch(
      ({ type }) => {
        if (type === MPTCP_EVENT.SUB_CLOSED) closedAt = performance.now();
      },
      () => undefined,
    );
    void watcher;
    const address = { address: ip("10.0.2.1"), prefixLength: 24, interfaceIndex: index };
    for (let round = 0; round < ROUNDS; round++) {
      const connection = await connect(world);
      if (rest) await pause(REST);
      closedAt = 0;
      const begin = performance.now();
      rtnl.changeAddress("delete", address);
      await spinUntil(() => closedAt > 0, GIVE_UP, `${manager} to close the subflow`);
      values.push((closedAt - begin) * 1000);
      connection.destroy();
      rtnl.changeAddress("add", address);
      await world.client.ip(["route replace default via 10.0.2.2 dev eth2 metric 200"]);
      await spinUntil(() => pm.endpoints().length === 2, GIVE_UP, "the endpoint back");
    }
  });
  return { name: manager, values };
}

const AT_ONCE = 4;

/** A steady download of small pieces: the application would see every gap. Bytes, milliseconds. */
const PIECE = 2000;
const EVERY = 2;

/**
 * Carrier lost on the path that carries the data → the first byte that arrives afterwards; and link back → subflow back, at
 * most GIVE_UP. Milliseconds. The carrier goes at the client: the server learns of it from us, or by its own timers.
 */
async function lossLatencies(manager: Manager): Promise<{ stall: Samples; back: Samples; never: number }> {
  const stall: number[] = [];
  const back: number[] = [];
  let never = 0;
  let left = LOSSES;
  // Several at once: each of them waits most of the time.
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await lossRound();
    }),
  );
  return { stall: { name: manager, values: stall }, back: { name: manager, values: back }, never };

  async function lossRound(): Promise<void> {
    await withManager(manager, async (world) => {
      const connection = await connect(world);
      const { lab, client, pm } = world;
      const pump = setInterval(() => connection.server.socket.write(Buffer.alloc(PIECE)), EVERY);
      try {
        await pause(100);
        const gap = longestGap(connection);
        const link = lab.link("eth1");
        await link.loseCarrier(client);
        const got = connection.client.bytesReceived;
        await spinUntil(
          () => connection.client.bytesReceived > got + 20 * PIECE,
          4 * GIVE_UP,
          "data on the other path",
        );
        stall.push(gap());
        await link.up();
        await client.ip(["route replace default via 10.0.1.2 dev eth1 metric 100"]);
        const returned = performance.now();
        try {
          await spinUntil(() => established(pm) >= 2 && hasFirstPath(pm), GIVE_UP, "the subflow back");
          back.push(performance.now() - returned);
        } catch {
          never++;
        }
      } finally {
        clearInterval(pump);
        connection.destroy();
      }
    });
  }
}

/** The longest time without data at the client from now until the result is called. Milliseconds. */
function longestGap({ client }: TrafficConnection): () => number {
  let last = performance.now();
  let longest = 0;
  const note = (): void => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  };
  client.socket.on("data", note);
  return () => {
    client.socket.off("data", note);
    return longest;
  };
}

/** A subflow on the first link that was opened after its return: its SYN is answered. */
function hasFirstPath(pm: MptcpPm): boolean {
  return pm
    .connections()
    .some(({ subflows }) =>
      subflows.some(
        ({ path, state, join: joined }) => joined && state === "established" && path.local.address === "10.0.1.1",
      ),
    );
}

printMachine();
const only = process.argv[4];
const managed: Manager[] = ["mptcpd", "subflow"];
if (only === undefined || only === "table") {
  const tables = [];
  for (const manager of managed) tables.push(await tableLatencies(manager));
  printTable(
    "address added -> endpoint in the kernel",
    "us",
    tables.map(({ add }) => add),
  );
  printTable(
    "address removed -> endpoint gone (the kernel waits for a grace period)",
    "us",
    tables.map(({ remove }) => remove),
  );
}
if (only === undefined || only === "close") {
  for (const rest of [true, false]) {
    const closes = [];
    for (const manager of managed) closes.push(await closeLatencies(manager, rest));
    printTable(
      `address removed -> its subflow closed${rest ? "" : ", round after round without a rest"}`,
      "us",
      closes,
    );
  }
}
if (only === undefined || only === "loss") {
  const losses = [];
  for (const manager of ["static endpoints", "mptcpd", "subflow"] as const) losses.push(await lossLatencies(manager));
  printTable(
    "carrier lost -> first byte on the other path, as the application sees it",
    "ms",
    losses.map(({ stall }) => stall),
  );
  printTable(
    `link back -> subflow back (within ${GIVE_UP} ms)`,
    "ms",
    losses.map(({ back }) => back),
    "subflow",
  );
  for (const { stall, never } of losses) console.log(`${stall.name}: never back in ${never} of ${LOSSES}`);
}
rmSync(runtime, { recursive: true, force: true });
