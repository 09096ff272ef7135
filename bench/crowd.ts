/**
 * Many connections at once: 1,000 under twenty rules while a link flaps, and all that active-backup has when their link is lost.
 * `npm run bench -- crowd [connections under rules] [connections with active-backup]`, default 1000 and 2000 on the real kernel; the engine alone has 10,000.
 * 0 connections under rules: only the other.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "../src/control/index.ts";
import { MptcpPm, NetstatReader } from "../src/netlink/index.ts";
import { configFile, DaemonProcess } from "../test/kernel/daemon-support.ts";
import { inWorld, OUTAGES, type World } from "../test/kernel/outage-support.ts";
import { Crowd, twentyRules } from "../test/sim/crowd.ts";
import { Programs } from "./_programs.ts";
import { printMachine, printTable, processorTime, quantile, type Samples } from "./_support.ts";
import { line } from "./_world.ts";

const RULED = Number(process.argv[2] ?? 1000);
const BACKED = Number(process.argv[3] ?? 2000);
const FLAPS = 8;
/** The first of a daemon's life runs code that V8 has not compiled. */
const LOSSES = 3;
const SERVER = ["10.0.1.2", "5000", "20"] as const;
const POLICIES = ["resilient", "{ name: active-backup, hold_down: 1s }", "fullmesh", "one-per-interface", "aggregate"];
const [POLL, GIVE_UP] = [20, 60_000];
const flap = OUTAGES["interface down"];

/** Microseconds of each step of the engine while a link flaps; how many commands each flap led to. */
function decide(): Samples {
  const values: number[] = [];
  let isOn = false;
  const crowd = new Crowd({
    ...{ connections: 1000, policy: "resilient", rules: twentyRules() },
    around: (_event, step) => {
      const start = performance.now();
      const actions = step();
      if (isOn) values.push((performance.now() - start) * 1000);
      return actions;
    },
  });
  for (let round = 0; round < 2 * FLAPS; round++) {
    isOn = round >= FLAPS;
    const before = crowd.commands;
    crowd.lose(2);
    crowd.pass(1000);
    crowd.restore(2);
    crowd.pass(4000);
    if (round === 2 * FLAPS - 1)
      console.log(`engine alone, 1000 connections: ${crowd.commands - before} commands a flap`);
  }
  return { name: "a step of the engine", values };
}

function failOver(connections: number): void {
  const crowd = new Crowd({ connections, policy: "active-backup" });
  const [start, before] = [performance.now(), crowd.commands];
  crowd.lose(1);
  const took = performance.now() - start;
  console.log(
    `engine and simulated kernel, ${connections} active-backup: ${crowd.commands - before} commands, ${took.toFixed(0)} ms`,
  );
}

/** So many connections of a client whose daemon has this configuration, each with two subflows; then what is to be done with them. */
async function withMany(
  count: number,
  config: string,
  use: (world: World, pm: MptcpPm, daemon: DaemonProcess) => Promise<void>,
): Promise<void> {
  using programs = new Programs();
  await inWorld(2, async (world) => {
    const { lab, client, server } = world;
    const service = server.spawn([programs.program("traffic"), "serve", ...SERVER], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await line(service);
    const daemon = await DaemonProcess.start(lab, client, "--config", configFile(config));
    const holder = client.spawn([programs.program("traffic"), "hold", ...SERVER, String(count)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await line(holder);
    using pm = MptcpPm.open({ netns: client.netns });
    await all(pm, count, ({ length }) => length === 2, "two subflows each");
    await use(world, pm, daemon);
    holder.stdin?.end();
    service.stdin?.end();
    await daemon.end();
  });
}

type Subflows = readonly { readonly local: string; readonly backup: boolean }[];

/** @returns milliseconds until all connections are so */
async function all(pm: MptcpPm, count: number, isSo: (subflows: Subflows) => boolean, what: string): Promise<number> {
  const start = performance.now();
  const done = (): boolean => {
    const established = pm
      .connections()
      .map(({ subflows }) =>
        subflows
          .filter(({ state }) => state === "established")
          .map(({ path, backupLocal }) => ({ local: path.local.address as string, backup: backupLocal })),
      );
    return established.filter(isSo).length >= count;
  };
  // Not all the time: to look takes what the daemon needs.
  for (;;) {
    const at = performance.now();
    if (done()) return at - start;
    if (at - start > GIVE_UP) throw new Error(`waited in vain for ${what}`);
    await sleep(Math.max(POLL, 2 * (performance.now() - at)));
  }
}

const actionsOf = async ({ client }: World): Promise<number> => {
  const snapshot = await ask("snapshot", {}, { netns: client.netns });
  return (snapshot as { counters: { actions: number } }).counters.actions;
};

async function flapping(): Promise<void> {
  const rules = Array.from(
    { length: 20 },
    (_, nth) => `  - { match: { remote_port: ${5000 + nth} }, policy: ${POLICIES[nth % POLICIES.length]} }`,
  );
  await withMany(RULED, `path_manager: userspace\nrules:\n${rules.join("\n")}\n`, async (world, pm, daemon) => {
    const [gone, back]: [number[], number[]] = [[], []];
    await sleep(3000);
    const [actions, used] = [await actionsOf(world), processorTime(daemon.pid)];
    for (let round = 0; round < FLAPS; round++) {
      await flap(world, 2, false);
      gone.push(
        await all(pm, RULED, (subflows) => subflows.every(({ local }) => local === "10.0.1.1"), "the second link left"),
      );
      await sleep(1000);
      await flap(world, 2, true);
      back.push(await all(pm, RULED, ({ length }) => length === 2, "two again"));
      await sleep(3000);
    }
    const each = (total: number): string => (total / FLAPS).toFixed(0);
    console.log(
      `real, ${RULED} connections under 20 rules: ${each((await actionsOf(world)) - actions)} actions and ${each(processorTime(daemon.pid) - used)} ms of processor time a flap`,
    );
    for (const [what, times] of [
      ["left", gone],
      ["all back", back],
    ] as const)
      console.log(`${what} after ${quantile(times, 0.5).toFixed(0)} ms, at most ${Math.max(...times).toFixed(0)}`);
  });
}

/** Counted by the client's kernel when a subflow was closed by command, and when the other was made active. */
const MOVED = ["RmSubflow", "MPPrioTx"] as const;

async function failingOver(): Promise<void> {
  await withMany(BACKED, "policy: { name: active-backup, hold_down: 1s }\n", async (world, pm, daemon) => {
    for (let loss = 1; loss <= LOSSES; loss++) {
      await all(pm, BACKED, isWhole, "one active on the first link, one backup");
      await sleep(3000);
      console.log(`real, ${BACKED} active-backup, loss ${loss}: ${await failOnce(world, daemon)}`);
      await all(pm, BACKED, isMoved, "the other path");
      if (loss < LOSSES) await flap(world, 1, true);
    }
  });
}

const isWhole = (subflows: Subflows): boolean =>
  subflows.length === 2 && subflows.every(({ local, backup }) => backup === (local !== "10.0.1.1"));
const isMoved = (subflows: Subflows): boolean =>
  subflows.length === 1 && subflows[0]?.local === "10.0.2.1" && !subflows[0].backup;

/** Takes the first link down, with so many connections on it. @returns what became of it */
async function failOnce(world: World, daemon: DaemonProcess): Promise<string> {
  // To look at all connections would take what the daemon needs; the counters cost some microseconds.
  using counters = new NetstatReader(MOVED, world.client.netns);
  const before = [...counters.read()];
  const [ran, waited] = mainThread(daemon.pid);
  const start = performance.now();
  await flap(world, 1, false);
  const [linkTook, reached] = [performance.now() - start, MOVED.map(() => 0)];
  let first = 0;
  while (reached.some((at) => at === 0)) {
    const [now, values] = [performance.now() - start, counters.read()];
    const moved = values.map((value, n) => value - (before[n] ?? 0));
    if ((moved[0] ?? 0) > 0) first ||= now;
    for (const [n, value] of moved.entries()) if (value >= BACKED) reached[n] ||= now;
    if (now > GIVE_UP) throw new Error(`waited in vain: ${MOVED.join()} ${moved.join()}`);
    await sleep(2);
  }
  const [ranThen, waitedThen] = mainThread(daemon.pid);
  const [all, ...rest] = [Math.max(...reached), first, linkTook].map((ms) => ms.toFixed(0));
  return (
    `all dead subflows closed and all others active after ${all} ms (target: 1000), the first after ${rest[0]}, \`ip link set down\` returned after ${rest[1]}; ` +
    `the daemon's main thread ran ${(ranThen - ran).toFixed(0)} ms and waited ${(waitedThen - waited).toFixed(0)} ms for a processor`
  );
}

/** Milliseconds that the main thread of a process ran, and waited for a processor (schedstat). */
function mainThread(pid: number): readonly [number, number] {
  const [ran = "0", waited = "0"] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ");
  return [Number(ran) / 1e6, Number(waited) / 1e6];
}

printMachine();
printTable("a decision, 1,000 connections under 20 rules, a link flaps", "us", [decide()]);
failOver(10_000);
if (RULED > 0) await flapping();
await failingOver();
