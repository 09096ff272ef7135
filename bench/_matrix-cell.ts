import { setTimeout as sleep } from "node:timers/promises";
import { patience, type Stall, type TrafficConnection, type TrafficEnd } from "../src/lab/index.ts";
import { MptcpPm } from "../src/netlink/index.ts";
import { Random } from "../src/sim/index.ts";
import type { Connection, Millis } from "../src/types/index.ts";
import { mend, strike, type Target } from "./_matrix-losses.ts";
import { addressOf, type Configs, EMPTY, HOSTS, numbers, type Setup, type Size, World } from "./_matrix-world.ts";

/** One cell of the matrix: so many addresses, these managers, this loss. */
export interface Cell {
  readonly size: Size;
  readonly setup: Setup;
  readonly target: Target;
}

/** How a cell went. Times are milliseconds; -1 says never. */
export interface CellResult {
  readonly cell: string;
  readonly seed: number;
  /** Some path was left during the outage. */
  readonly pathLeft: boolean;
  /** From the first data until each address was used. */
  readonly covered: Millis;
  /** Longest gap between arrivals of either direction, from the loss to a second after the cover was whole again. */
  readonly stall: Millis;
  /** From the return until each address was used. */
  readonly restored: Millis;
  /** Everything arrived, as it was sent. */
  readonly intact: boolean;
  /** Established subflows before the loss, at the end of the outage, after the return. */
  readonly subflows: readonly [number, number, number];
  /** Of this process, which measures: what it overslept is no stall of the connection. */
  readonly lag: Millis;
  /** When the established paths changed, from the loss on: by the client's sockets. */
  readonly history: readonly string[];
  /** What the cell fails by; empty: it passes. */
  readonly faults: readonly Fault[];
  readonly logs?: Readonly<Record<string, string>>;
}

/** Not covered before, stalled though a path was left, not restored, not all data arrived, could not be played. */
export type Fault = "cover" | "stall" | "restore" | "data" | "error";

export const STALL_MAX: Millis = 1000;
export const RESTORE_MAX: Millis = 3000;
const COVER_MAX: Millis = 2000;
const OUTAGE: Millis = 4000;
/** Retransmissions double their distance: where no path was left, data may take as long again as the outage. */
const DRAIN_MAX: Millis = 12_000;
const POLL: Millis = 25;
const CHUNK = 4096;
/** With the chunk: 1.6 Mbit/s each way. */
const PACE: Millis = 20;

export function nameOf({ size, setup, target }: Cell): string {
  const { local, remote, family } = size;
  const nth = target.n === 1 ? "" : ` ${target.n}`;
  return `${local}x${remote}${family === 6 ? " v6" : ""} ${setup} ${target.kind} ${target.host}${nth}`;
}

/** The cell's own random numbers: the same whichever other cells are played. */
export function seedOf(cell: Cell, seed: number): number {
  let hash = seed;
  for (const char of nameOf(cell)) hash = (Math.imul(hash, 31) + char.charCodeAt(0)) >>> 0;
  return hash;
}

/** Plays a cell in a world of its own. */
export async function play(cell: Cell, seed: number, configs: Configs = EMPTY): Promise<CellResult> {
  await using world = await World.create(cell.size, cell.setup, configs);
  const random = new Random(seedOf(cell, seed));
  const { size, target } = cell;
  const service = await world.host("server").listen({ address: size.family === 4 ? "0.0.0.0" : "::" });
  const to = addressOf("server", 1, size.family);
  const connection = await service.connect(world.host("client").netns, { to });
  using watch = new Watch(world);
  const talk = new Talk(connection);
  const covered = await watch.untilCovered(COVER_MAX);
  await watch.wait(100 + random.below(300));
  const before = watch.subflows;
  const start = performance.now();
  watch.restart();
  await strike(world, target);
  await watch.wait(OUTAGE);
  const during = watch.subflows;
  await mend(world, target);
  const restored = await watch.untilCovered(RESTORE_MAX);
  await watch.wait(1000);
  const stall = longest(talk, start);
  const intact = await talk.finish(DRAIN_MAX);
  const after = watch.subflows;
  const pathLeft = (target.host === "client" ? size.local : size.remote) > 1;
  const limit = patience(STALL_MAX);
  const faults: Fault[] = [];
  if (covered < 0) faults.push("cover");
  if (pathLeft && stall > limit) faults.push("stall");
  if (restored < 0) faults.push("restore");
  if (!intact) faults.push("data");
  const logs = Object.fromEntries(HOSTS.map((host) => [host, world.daemons[host]?.log ?? ""]));
  const { lag, history } = watch;
  const figures = { covered, stall, restored, lag };
  const rounded = Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, Math.round(value)]));
  return {
    cell: nameOf(cell),
    seed,
    pathLeft,
    ...(rounded as typeof figures),
    intact,
    subflows: [before, during, after],
    history,
    faults,
    ...(faults.length > 0 ? { logs } : {}),
  };
}

/** Follows the established paths of the world's one connection, as the client's sockets say. */
class Watch implements Disposable {
  readonly #world: World;
  readonly #pm: MptcpPm;
  #connection: Connection | undefined;
  #paths: readonly string[] = [];
  #start = performance.now();
  lag = 0;
  history: string[] = [];

  constructor(world: World) {
    this.#world = world;
    this.#pm = MptcpPm.open({ netns: world.host("client").netns });
  }

  [Symbol.dispose](): void {
    this.#pm[Symbol.dispose]();
  }

  get subflows(): number {
    return this.#paths.length;
  }

  /** History and lag count from now. */
  restart(): void {
    this.#start = performance.now();
    this.lag = 0;
    this.history = [];
    this.#note();
  }

  /** @returns milliseconds until every address was used, -1 when some was not in time */
  async untilCovered(deadline: Millis): Promise<Millis> {
    const start = performance.now();
    for (;;) {
      this.#look();
      const took = performance.now() - start;
      if (isCovered(this.#paths, this.#world.size)) return took;
      if (took > patience(deadline)) return -1;
      await this.#turn();
    }
  }

  async wait(time: Millis): Promise<void> {
    const end = performance.now() + time;
    while (performance.now() < end) {
      await this.#turn();
      this.#look();
    }
  }

  async #turn(): Promise<void> {
    const start = performance.now();
    await sleep(POLL);
    this.lag = Math.max(this.lag, performance.now() - start - POLL);
  }

  #look(): void {
    const paths = this.#established();
    if (paths.join() === this.#paths.join()) return;
    this.#paths = paths;
    this.#note();
  }

  /** Looked up, not dumped: a dump goes through every socket of the machine, which has many worlds. */
  #established(): readonly string[] {
    const before = this.#connection;
    this.#connection = before
      ? this.#pm.connection(before.token, before.subflows)
      : this.#pm.connections().find(({ state }) => state === "established");
    return (this.#connection?.subflows ?? [])
      .filter(({ state }) => state === "established")
      .map(({ path }) => `${path.local.address}>${path.remote.address}`)
      .sort();
  }

  #note(): void {
    const at = Math.round(performance.now() - this.#start);
    this.history.push(`${at}: ${short(this.#paths, this.#world.size)}`);
  }
}

/** Is each local and each remote address used? Then none is in all subflows, where there is another. */
export function isCovered(paths: readonly string[], { local, remote, family }: Size): boolean {
  const ends = paths.map((path) => path.split(">"));
  const uses = (host: "client" | "server", count: number): boolean =>
    numbers(count).every((n) => ends.some((end) => end[host === "client" ? 0 : 1] === addressOf(host, n, family)));
  return uses("client", local) && uses("server", remote);
}

/** "c1-s1 c2-s2" for the paths between these addresses. */
export function short(paths: readonly string[], { local, remote, family }: Size): string {
  const names = new Map<string, string>();
  for (const n of numbers(local)) names.set(addressOf("client", n, family), `c${n}`);
  for (const n of numbers(remote)) names.set(addressOf("server", n, family), `s${n}`);
  const nameOfEnd = (end: string): string => names.get(end) ?? end;
  return paths.map((path) => path.split(">").map(nameOfEnd).join("-")).join(" ") || "nothing";
}

/** Both sides say something all the time, and check what they hear. */
export class Talk {
  readonly ends: readonly [TrafficEnd, TrafficEnd];
  readonly #timer: NodeJS.Timeout;

  constructor({ client, server }: TrafficConnection) {
    this.ends = [client, server];
    for (const end of this.ends) end.startClock();
    this.#timer = setInterval(() => {
      for (const end of this.ends) if (!end.error) end.send(CHUNK).catch(() => undefined);
    }, PACE);
  }

  /** Ends the talk. @returns whether all that was sent arrived as it was */
  async finish(deadline: Millis): Promise<boolean> {
    clearInterval(this.#timer);
    const [client, server] = this.ends;
    const arrived = Promise.all([client.received(server.bytesSent), server.received(client.bytesSent)]);
    const late = new AbortController();
    try {
      await Promise.race([
        arrived,
        sleep(patience(deadline), undefined, { signal: late.signal }).then(() => Promise.reject()),
      ]);
      return client.sentHash === server.receivedHash && server.sentHash === client.receivedHash;
    } catch {
      arrived.catch(() => undefined);
      return false;
    } finally {
      late.abort();
    }
  }
}

function longest({ ends }: Talk, since: Millis): Millis {
  const until = ({ start, duration }: Stall): Millis => start + duration - Math.max(since, start);
  return Math.max(0, ...ends.flatMap(({ stalls }) => stalls.map(until)));
}
