import assert from "node:assert/strict";
import { describe, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Host, patience } from "../../src/lab/index.ts";
import type { Millis } from "../../src/types/index.ts";
import { pathsOf } from "./daemon-support.ts";
import { address, connected, inWorld, type Manager, manage, type World, within } from "./outage-support.ts";
import { Chatter } from "./policy-support.ts";
import { kernelTest } from "./support.ts";

/** What netem does at either end of each link. */
const WEATHERS = {
  "20ms": "delay 20ms",
  "300ms": "delay 300ms",
  "1%": "delay 20ms loss 1%",
  "5%": "delay 50ms 10ms loss 5%",
  "20%": "delay 20ms loss 20%",
  reordered: "delay 50ms reorder 25% 50%",
} as const;
type Weather = keyof typeof WEATHERS;

const LOSSES = {
  carrier: ({ lab, client }: World) => lab.link("eth1").loseCarrier(client),
  silence: ({ lab }: World) => lab.link("eth1").blackhole(true),
} as const;
type Loss = keyof typeof LOSSES;

/** Who is in charge; "static": the kernel alone, with endpoints that somebody set by hand. */
const MANAGERS: Readonly<Record<string, Manager>> = {
  userspace: "userspace",
  kernel: "kernel",
  "kernel alone": "static",
};

/** Of all there are, those that a variable names: WEATHERS=5%,20% LOSSES=silence MANAGERS=userspace. */
function wanted<T extends string>(variable: string, all: Readonly<Record<T, unknown>>): T[] {
  const names = Object.keys(all) as T[];
  const given = process.env[variable]?.split(",");
  const unknown = given?.find((name) => !names.includes(name as T));
  assert.equal(unknown, undefined, `${variable}: ${unknown} is none of ${names.join()}`);
  return names.filter((name) => given?.includes(name) ?? true);
}

/** Of what is lost so often, retransmissions double their distance: whoever waits for one waits long. */
const ARRIVAL: Millis = 60_000;
/** How long data flow before the loss and after it. */
const CALM: Millis = 1500;

async function isThere(host: Host): Promise<boolean> {
  try {
    await host.tc(["qdisc add dev lo root netem delay 1ms"]);
    return true;
  } catch {
    return false;
  }
}

async function weather({ client, server }: World, what: Weather): Promise<void> {
  const lines = ["eth1", "eth2"].map((link) => `qdisc replace dev ${link} root netem limit 5000 ${WEATHERS[what]}`);
  await Promise.all([client, server].map((host) => host.tc(lines)));
}

/** A path is lost under traffic and comes back. @returns the longest time in which nothing arrived */
async function play(world: World, manager: Manager, what: Weather, loss: Loss): Promise<Millis> {
  const { lab, client } = world;
  const daemon = await manage(world, manager);
  const connection = await connected(world, manager);
  await weather(world, what);
  const chatter = new Chatter(connection.client, connection.server, 2000, 20);
  await sleep(CALM);
  chatter.restartClock();
  await LOSSES[loss](world);
  await sleep(CALM);
  const before = connection.server.bytesReceived;
  const goesOn = () => connection.server.bytesReceived > before + 20_000;
  await lab.waitFor(goesOn, ARRIVAL, "data on the other path");
  const stall = chatter.stall;
  // What made the link silent stood in the place of its weather.
  if (loss === "silence")
    await lab
      .link("eth1")
      .blackhole(false)
      .then(() => weather(world, what));
  else await lab.link("eth1").up();
  await client.ip([`address replace ${address(1)} dev eth1`, "route replace default via 10.0.1.2 dev eth1 metric 100"]);
  if (daemon) {
    const isBack = () => pathsOf(client).some((path) => path.startsWith("10.0.1.1>"));
    await lab.waitFor(isBack, ARRIVAL, "the subflow of the first link back");
  }
  assert.ok(await within(patience(2 * ARRIVAL), chatter.end()), "as it was sent");
  connection.destroy();
  if (daemon) assert.equal(await daemon.end(), 0, daemon.log);
  return Math.round(stall);
}

function playAll(what: Weather): (context: TestContext) => Promise<void> {
  return (context) =>
    inWorld(1, async ({ client }) => {
      if (!(await isThere(client))) return context.skip("this kernel has no netem (CONFIG_NET_SCH_NETEM)");
      for (const loss of wanted("LOSSES", LOSSES)) {
        const told: string[] = [];
        for (const manager of wanted("MANAGERS", MANAGERS)) {
          let stall: Millis = 0;
          await inWorld(2, async (world) => {
            stall = await play(world, MANAGERS[manager] ?? "nobody", what, loss);
          });
          told.push(`${manager} ${stall} ms`);
        }
        context.diagnostic(`${what}, ${loss}, longest stall: ${told.join("; ")}`);
      }
    });
}

describe("a path lost and back, with delay, loss and reordering (netem)", {
  concurrency: 1,
}, () => {
  for (const what of wanted("WEATHERS", WEATHERS)) kernelTest(`${what}: ${WEATHERS[what]}`, playAll(what));
});
