/**
 * What an application loses when a path goes silent: of two paths, the one that carries most begins to swallow packets without a sign.
 * `npm run bench -- silence [rounds] [words of the rows]`, as `npm run bench -- silence 10 up userspace`. `LOSS=link-down` instead (or another one of
 * `_matrix-losses.ts`): a loss that the kernel tells of; what is lost is told in 3 s then. `LOSS=none`: what the machine itself loses, without any.
 * `CLIENT="policy: active-backup"`: more lines of the client's configuration.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { TrafficConnection, TrafficEnd } from "../src/lab/index.ts";
import type { Millis } from "../src/types/index.ts";
import { LOSS_KINDS, strike } from "./_matrix-losses.ts";
import { addressOf, EMPTY, type Setup, World } from "./_matrix-world.ts";
import { printMachine, printTable, type Samples } from "./_support.ts";

const SIZE = { local: 2, remote: 2, family: 4 } as const;
const SETUPS: readonly Setup[] = ["userspace", "userspace-client", "bare"];
const DIRECTIONS = ["up", "down"] as const;
/** What the application sends, in Mbit/s. */
const RATES = [1, 50];
/** A gap in what arrives that is longer is a loss to the application; all of them together within the watch are its cost. */
const GAP_MIN: Millis = 50;
const LOSS = [...LOSS_KINDS, "none" as const].find((kind) => kind === process.env.LOSS) ?? "silent-drop";
const WATCH: Millis = LOSS === "silent-drop" ? 10_000 : 3000;
/** Until both paths are there and are used. */
const WARM: Millis = 1200;
const CONFIGS = { ...EMPTY, client: process.env.CLIENT ?? "" };
const PACE: Millis = 10;

const [roundsText = "5", ...words] = process.argv.slice(2);
const ROUNDS = Number(roundsText);

interface Row {
  readonly setup: Setup;
  readonly direction: (typeof DIRECTIONS)[number];
  readonly rate: number;
}

/** Sends at a rate until it is stopped; what the sender's window does not take is made up for later. */
function stream(end: TrafficEnd, rate: number): NodeJS.Timeout {
  let sending = false;
  const began = performance.now();
  return setInterval(async () => {
    if (sending || end.error) return;
    sending = true;
    const due = Math.round(((performance.now() - began) * rate * 1000) / 8) - end.bytesSent;
    await end.send(Math.max(1, Math.min(due, 1 << 20))).catch(() => undefined);
    sending = false;
  }, PACE);
}

/** Milliseconds lost by the application after the first path of the client went silent. */
async function play({ setup, direction, rate }: Row): Promise<{ lost: Millis; longest: Millis }> {
  await using world = await World.create(SIZE, setup, CONFIGS);
  const service = await world.host("server").listen({ address: "0.0.0.0" });
  const connection: TrafficConnection = await service.connect(world.host("client").netns, {
    to: addressOf("server", 1, 4),
  });
  const [from, to] =
    direction === "up" ? [connection.client, connection.server] : [connection.server, connection.client];
  // The other side says something now and then, as applications do.
  const back = setInterval(() => to.send(100).catch(() => undefined), 500);
  const timer = stream(from, rate);
  try {
    await sleep(WARM);
    to.startClock();
    if (LOSS !== "none") await strike(world, { kind: LOSS, host: "client", n: 1 });
    await sleep(WATCH);
    const gaps = to.stalls.map(({ duration }) => duration).filter((duration) => duration > GAP_MIN);
    return { lost: gaps.reduce((sum, gap) => sum + gap, 0), longest: Math.max(0, ...gaps) };
  } finally {
    clearInterval(timer);
    clearInterval(back);
    connection.destroy();
  }
}

const rows = RATES.flatMap((rate) =>
  DIRECTIONS.flatMap((direction) => SETUPS.map((setup): Row => ({ setup, direction, rate }))),
).filter((row) =>
  words.every((word) => word.split("|").some((choice) => Object.values(row).map(String).includes(choice))),
);

printMachine();
const lost: Samples[] = [];
for (const row of rows) {
  const values: number[] = [];
  for (let round = 0; round < ROUNDS; round++) values.push((await play(row)).lost);
  lost.push({ name: `${row.rate} Mbit/s ${row.direction} ${row.setup}`, values });
}
printTable(
  `lost by the application in ${WATCH / 1000} s after one of two paths was lost (${LOSS})`,
  "ms, gaps above 50 ms",
  lost,
);
