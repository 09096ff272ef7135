import { setTimeout as sleep } from "node:timers/promises";
import type { Stall, TrafficEnd } from "../src/lab/index.ts";
import type { Millis } from "../src/types/index.ts";
import { pathsOf } from "../test/kernel/daemon-support.ts";
import type { Scene } from "./_compare-scenes.ts";
import { Talk } from "./_matrix-cell.ts";
import { addressOf, type Manager, near, numbers, World } from "./_matrix-world.ts";

/** Who manages the client's paths, by the name of a column. */
export const COLUMNS = {
  "in-kernel": "bare",
  mptcpd: "mptcpd",
  "ours, kernel mode": "kernel",
  "ours, resilient": "userspace",
  "ours, best policy": "userspace",
} as const satisfies Record<string, Manager>;
export type Column = keyof typeof COLUMNS;

/** How a cell went. */
export interface Outcome {
  /** Milliseconds in which nothing arrived, all gaps above {@link GAP_MIN} of both directions, from the beginning of what happens on. */
  readonly lost: Millis;
  readonly longest: Millis;
  /** By the client's interfaces, both directions, from then on. */
  readonly bytes: readonly number[];
  /** Established, at the end. */
  readonly subflows: number;
  /** All that was said arrived, as it was. */
  readonly isIntact: boolean;
  /** Of the process that measures: what it overslept. */
  readonly lag: Millis;
}

const GAP_MIN: Millis = 150;
const TICK: Millis = 20;
const WARM: Millis = 2500;
/** From the beginning of what happens to the last look. */
const WATCH: Millis = 28_000;
const DRAIN_MAX: Millis = 3000;
const RATE = "20mbit";

/** Plays a scene in a world of its own. */
export async function play(scene: Scene, column: Column): Promise<Outcome> {
  const manager = COLUMNS[column];
  const policy = column === "ours, best policy" ? `policy: ${scene.policy}` : "";
  const client = `${policy}\n${scene.config ?? ""}`;
  await using world = await World.create(scene.size, { client: manager, server: "bare" }, { client, server: "" });
  for (const n of numbers(scene.size.local)) await world.lab.link(`u${n}`).setRate(RATE);
  await scene.prepare?.(world, manager);
  const service = await world.host("server").listen({ address: "0.0.0.0" });
  const connection = await service.connect(world.host("client").netns, { to: addressOf("server", 1, 4) });
  const talk = new Talk(connection);
  await sleep(WARM);
  const before = await bytesOf(world);
  const clock = new Clock();
  for (const end of talk.ends) end.startClock();
  const start = performance.now();
  await scene.begins(world);
  await sleep(scene.lasts);
  await scene.ends?.(world);
  await sleep(Math.max(0, start + WATCH - performance.now()));
  const gaps = talk.ends.flatMap((end) => clock.gapsOf(end));
  const bytes = (await bytesOf(world)).map((sum, n) => sum - (before[n] ?? 0));
  const subflows = pathsOf(world.host("client")).length;
  const isIntact = await talk.finish(DRAIN_MAX);
  connection.destroy();
  const lost = gaps.reduce((sum, gap) => sum + gap, 0);
  return { lost, longest: Math.max(0, ...gaps), bytes, subflows, isIntact, lag: clock.end() };
}

async function bytesOf(world: World): Promise<number[]> {
  const { stdout } = await world.host("client").exec(["ip", "-j", "-s", "link", "show"]);
  const all = JSON.parse(stdout) as { ifname: string; stats64: { rx: { bytes: number }; tx: { bytes: number } } }[];
  return numbers(world.size.local).map((n) => {
    const stats = all.find(({ ifname }) => ifname === near("client", n))?.stats64;
    return (stats?.rx.bytes ?? 0) + (stats?.tx.bytes ?? 0);
  });
}

/** Notices when this process, which talks and listens, does not run: what it overslept is no stall of the connection. */
class Clock {
  readonly #overslept: { readonly from: Millis; readonly to: Millis }[] = [];
  #last = performance.now();
  readonly #timer = setInterval(() => {
    const now = performance.now();
    if (now - this.#last > 2 * TICK) this.#overslept.push({ from: this.#last + TICK, to: now });
    this.#last = now;
  }, TICK);

  /** Gaps in what arrived, without what was overslept of them. */
  gapsOf(end: TrafficEnd): Millis[] {
    const own = ({ start, duration }: Stall): Millis =>
      this.#overslept.reduce((left, { from, to }) => {
        return left - Math.max(0, Math.min(to, start + duration) - Math.max(from, start));
      }, duration);
    return end.stalls.map(own).filter((duration) => duration >= GAP_MIN);
  }

  /** @returns the longest that it overslept */
  end(): Millis {
    clearInterval(this.#timer);
    return Math.max(0, ...this.#overslept.map(({ from, to }) => to - from));
  }
}
