/**
 * What much of everything on a host does to MPTCP connections: `npm run bench -- host-scale [case] [connections]`, default all
 * and 1000. Connections come one after the other, at rest and meanwhile; the same under the in-kernel path manager, which has
 * no part in any of it: what the load alone costs on this machine.
 */
import { once } from "node:events";
import { join } from "node:path";
import { Rtnl } from "../src/netlink/index.ts";
import { type Address, parseAddress } from "../src/types/index.ts";
import { Joins } from "./_joins.ts";
import { Programs } from "./_programs.ts";
import { printMachine, printTable, processorTime, type Samples } from "./_support.ts";
import { makeWorld, SERVER, type World } from "./_world.ts";

const COUNT = Number(process.argv[3] ?? 1000);
/** Ours follows everything here, and takes both links whatever the routes. */
const CONFIG = [
  "limits: { subflows: 1, add_addr_accepted: 0 }",
  "interfaces:",
  ...["eth1", "eth2"].map((name) => `  - { name: ${name}, role: subflow, also_without_default_route: true }`),
];
/** Milliseconds between two events where the load is what is there already. */
const EVENT_GAP = 50;

/** A load: what is there beforehand, and what comes meanwhile. Each gives the number of its events. */
interface Load {
  readonly before?: (world: World) => Promise<number>;
  /** Until `isOver` says so. */
  readonly meanwhile?: (world: World, isOver: () => boolean) => Promise<number>;
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** 10.200.0.0 and the following ones. */
function nth(index: number): Address {
  return parseAddress(`10.${200 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`)!;
}

function indexOf(rtnl: Rtnl, wanted: string): number {
  return rtnl.links().find(({ name }) => name === wanted)?.index ?? 0;
}

/** Some more addresses of eth2, `rate` a second at most; it ends with all there, or with the connections. */
function addresses(from: number, to: number, rate: number): NonNullable<Load["meanwhile"]> {
  return async ({ client }, isOver) => {
    using rtnl = Rtnl.open({ netns: client.netns });
    const interfaceIndex = indexOf(rtnl, "eth2");
    const began = performance.now();
    for (let index = from; index < to; index++) {
      if (isOver()) return index - from;
      rtnl.changeAddress("add", { interfaceIndex, address: nth(index), prefixLength: 32 });
      while ((index - from) / rate > (performance.now() - began) / 1000) await pause(1);
    }
    return to - from;
  };
}

/** An address that comes and goes. */
async function changes({ client }: World, isOver: () => boolean): Promise<number> {
  using rtnl = Rtnl.open({ netns: client.netns });
  const address = { interfaceIndex: indexOf(rtnl, "eth2"), address: nth(65_000), prefixLength: 32 };
  let count = 0;
  for (; !isOver(); count++) {
    rtnl.changeAddress(count % 2 === 0 ? "add" : "delete", address);
    await pause(EVENT_GAP);
  }
  return count;
}

function routes(count: number): NonNullable<Load["before"]> {
  return async ({ client }) => {
    const lines = Array.from({ length: count }, (_, index) => {
      const [high, low] = [20 + (index >> 16), index & 0xffff];
      return `route add ${high}.${low >> 8}.${low & 255}.0/32 via 10.0.2.2 dev eth2 proto bird`;
    });
    await client.ip(lines);
    return count;
  };
}

/** Containers' links that come and go, `rate` a second at most. */
function containers(rate: number): NonNullable<Load["meanwhile"]> {
  return async ({ client }, isOver) => {
    const block = 30;
    const began = performance.now();
    let count = 0;
    while (!isOver()) {
      const names = Array.from({ length: block }, (_, index) => `veth${count + index}`);
      await client.ip([
        ...names.map((name) => `link add ${name} type veth peer name p${name}`),
        ...names.map((name) => `link set ${name} up`),
        ...names.map((name) => `link del ${name}`),
      ]);
      count += block;
      const ahead = count / rate - (performance.now() - began) / 1000;
      if (ahead > 0) await pause(ahead * 1000);
    }
    return count;
  };
}

const CASES: Readonly<Record<string, Load>> = {
  rest: {},
  "3000 addresses one by one": { meanwhile: addresses(0, 3000, 1000) },
  "4000 addresses one by one": { meanwhile: addresses(0, 4000, 1000) },
  "4000 addresses there, one comes and goes": {
    before: (world) => addresses(0, 4000, 4000)(world, () => false),
    meanwhile: changes,
  },
  "100000 routes, an address comes and goes": { before: routes(100_000), meanwhile: changes },
  "1000000 routes, an address comes and goes": { before: routes(1_000_000), meanwhile: changes },
  "300 veths a second come and go": { meanwhile: containers(300) },
};

/** CPU time of the manager so far. Milliseconds; 0 for the kernel's own. */
function cpu({ process: child }: World): number {
  return child?.pid ? processorTime(child.pid) : 0;
}

async function connections({ client }: World, programs: Programs): Promise<void> {
  const words = [programs.program("traffic"), "series", ...SERVER, String(COUNT)];
  await once(client.spawn(words, { stdio: ["ignore", "ignore", "inherit"] }), "exit");
}

async function measure(
  manager: "in-kernel" | "subflow",
  name: string,
  load: Load,
  programs: Programs,
): Promise<Samples> {
  await using world = await makeWorld(manager, programs, CONFIG);
  const report = (what: string, events: number, since: { cpu: number; at: number }): void => {
    const [used, took] = [cpu(world) - since.cpu, performance.now() - since.at];
    const each = events > 0 ? `, ${((used * 1000) / events).toFixed(0)} us of it an event` : "";
    console.log(
      `${manager}, ${name}, ${what}: ${events} events in ${(took / 1000).toFixed(1)} s, CPU ${used} ms${each}`,
    );
  };
  let since = { cpu: cpu(world), at: performance.now() };
  if (load.before) {
    const events = await load.before(world);
    await pause(3000);
    report("beforehand", events, since);
  }
  await using joins = await Joins.start(world.client, join(programs.directory, `${manager}.pcap`));
  let isOver = false;
  since = { cpu: cpu(world), at: performance.now() };
  const meanwhile = load.meanwhile?.(world, () => isOver);
  await connections(world, programs);
  isOver = true;
  report("meanwhile", (await meanwhile) ?? 0, since);
  const values = await joins.delays();
  if (values.length < COUNT) console.log(`${manager}, ${name}: ${COUNT - values.length} without a second subflow`);
  return { name: `${manager}: ${name}`, values };
}

printMachine();
using programs = new Programs();
const only = process.argv[2];
const rows: Samples[] = [];
for (const [name, load] of Object.entries(CASES)) {
  if (only !== undefined && only !== "all" && !name.includes(only)) continue;
  for (const manager of ["in-kernel", "subflow"] as const) rows.push(await measure(manager, name, load, programs));
}
printTable("MP_CAPABLE SYN -> MP_JOIN SYN", "us", rows);
