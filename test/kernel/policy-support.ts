import { setTimeout as sleep } from "node:timers/promises";
import type { Host, TrafficEnd } from "../../src/lab/index.ts";
import type { Millis } from "../../src/types/index.ts";
import { configFile, DaemonProcess, DEADLINE, subflowsOf } from "./daemon-support.ts";
import { inWorld, linkNumbers, type World } from "./outage-support.ts";

/** A world of some links whose client has a daemon with this policy; `auto` makes it the userspace path manager. */
export async function withPolicy(
  policy: string,
  use: (world: World, daemon: DaemonProcess) => Promise<void>,
  { more = "", links = 2 }: { readonly more?: string; readonly links?: number } = {},
): Promise<void> {
  await inWorld(links, async (world) => {
    const config = configFile(`policy: ${policy}\n${more}`);
    const daemon = await DaemonProcess.start(world.lab, world.client, "--config", config);
    await daemon.logged(/userspace, because the in-kernel one cannot do what policy [a-z-]+ says/);
    await use(world, daemon);
    if ((await daemon.end()) !== 0) throw new Error(`the daemon failed:\n${daemon.log}`);
  });
}

/** "10.0.1.1 active,10.0.2.1 backup": the client's subflows. */
export function roles({ client }: World): string {
  return subflowsOf(client)
    .filter(({ state }) => state === "established")
    .map(({ path, backupLocal }) => `${path.local.address} ${backupLocal ? "backup" : "active"}`)
    .sort()
    .join();
}

/** Resolves when they are so. */
export async function becomes(world: World, expected: string, deadline: Millis = DEADLINE): Promise<void> {
  await world.lab.waitFor(
    () => roles(world) === expected,
    deadline,
    () => `${expected}; now ${roles(world)}`,
  );
}

/** Both ends of a link send at most so much, and drop what waits longer. */
export async function shape({ client, server }: World, link: number, rate: string, queue: Millis): Promise<void> {
  const line = `qdisc replace dev eth${link} root tbf rate ${rate} burst 32kb latency ${queue}ms`;
  await Promise.all([client, server].map((host) => host.tc([line])));
}

/** Bytes that the client has sent and received over each link, whatever subflow they were of. */
async function counted({ client, ...world }: World): Promise<readonly number[]> {
  const { stdout } = await client.exec(["ip", "-j", "-s", "link", "show"]);
  const all = JSON.parse(stdout) as { ifname: string; stats64: { rx: { bytes: number }; tx: { bytes: number } } }[];
  return linkNumbers(world).map((n) => {
    const stats = all.find(({ ifname }) => ifname === `eth${n}`)?.stats64;
    return (stats?.rx.bytes ?? 0) + (stats?.tx.bytes ?? 0);
  });
}

/** Which share of the bytes went over each link while something was done: [0.9, 0.1]. */
export async function sharesOf(world: World, during: () => Promise<unknown>): Promise<readonly number[]> {
  const before = await counted(world);
  await during();
  const after = await counted(world);
  const bytes = after.map((sum, n) => sum - (before[n] ?? 0));
  const all = bytes.reduce((sum, each) => sum + each, 0);
  return bytes.map((each) => each / all);
}

/** Resolves when nearly all of what somebody says all the time goes over this link. */
export async function carries(world: World, link: number, deadline: Millis = DEADLINE): Promise<void> {
  let share = 0;
  const isNearlyAll = async (): Promise<boolean> => {
    share = (await sharesOf(world, () => sleep(100)))[linkNumbers(world).indexOf(link)] ?? 0;
    return share > 0.98;
  };
  await world.lab.waitFor(isNearlyAll, deadline, () => `link ${link} carrying nearly all; now ${share} of the bytes`);
}

/** An application that says something all the time: so many bytes, every so often. */
export class Chatter {
  readonly #from: TrafficEnd;
  readonly #to: TrafficEnd;
  readonly #done: Promise<void>;
  #isOver = false;

  constructor(from: TrafficEnd, to: TrafficEnd, bytes: number, pace: Millis) {
    this.#from = from;
    this.#to = to;
    to.startClock();
    this.#done = this.#talk(bytes, pace);
    this.#done.catch(() => undefined);
  }

  async #talk(bytes: number, pace: Millis): Promise<void> {
    while (!this.#isOver) {
      await this.#from.send(bytes);
      await sleep(pace);
    }
  }

  /** The longest time in which nothing arrived. */
  get stall(): Millis {
    return this.#to.stalls.reduce((longest, { duration }) => Math.max(longest, duration), 0);
  }

  /** From now on. */
  restartClock(): void {
    this.#to.startClock();
  }

  /** No more is said. @returns whether all of it arrived as it was said */
  async end(): Promise<boolean> {
    this.#isOver = true;
    await this.#done;
    await this.#to.received(this.#from.bytesSent);
    return this.#from.sentHash === this.#to.receivedHash;
  }
}

/**
 * Somebody else's transfer, by plain TCP, that fills the queue of a link as far as it goes.
 * @returns ends it
 */
export async function fillQueue(world: World, link: number): Promise<() => void> {
  const sink = "require('net').createServer(s=>s.resume()).listen(9,()=>console.log('ready'))";
  const sender = `const s=require('net').connect(9,'10.0.${link}.2');const b=Buffer.alloc(65536);(function w(){s.write(b,w)})()`;
  const run = (host: Host, script: string) =>
    host.spawn([process.execPath, "-e", script], { stdio: ["ignore", "pipe", "ignore"] });
  const server = run(world.server, sink);
  await new Promise((resolve) => server.stdout?.once("data", resolve));
  const client = run(world.client, sender);
  return () => {
    client.kill();
    server.kill();
  };
}
