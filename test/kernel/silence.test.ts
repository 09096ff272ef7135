import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { type TransferReport, transfer } from "../../src/lab/index.ts";
import { conforms } from "../fixtures/schemas.ts";
import { connectionsOf, DaemonProcess, DEADLINE, pathsOf, subflow, subflowsOf } from "./daemon-support.ts";
import { nft } from "./doctor-support.ts";
import { connected, inWorld, manage, type World } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

interface Why {
  readonly connection: { readonly attempts: readonly { readonly lost_at?: number }[] };
}

const FIRST = "10.0.1.1>10.0.1.2";
const SECOND = "10.0.2.1>10.0.1.2";
/** Some seconds of both paths. */
const BYTES = 15_000_000;

const portsOf = (world: World) =>
  subflowsOf(world.client)
    .map(({ path }) => path.local.port)
    .sort();

/** What is done to the paths while data go over both of them, which must arrive as they were sent. */
async function underTraffic(
  direction: "up" | "down",
  strike: (world: World, done: Promise<TransferReport>, daemon: DaemonProcess) => Promise<void>,
): Promise<void> {
  await inWorld(2, async (world) => {
    const { lab, client } = world;
    for (const link of ["eth1", "eth2"]) await lab.link(link).setRate("20mbit");
    const daemon = await DaemonProcess.start(lab, client, "--path-manager", "userspace");
    const connection = await connected(world, "userspace");
    const [from, to] =
      direction === "up" ? [connection.client, connection.server] : [connection.server, connection.client];
    const done = transfer(from, to, BYTES);
    // A strike that fails says more than that the transfer broke with it.
    done.catch(() => undefined);
    const carried = direction === "up" ? "bytesSent" : "bytesReceived";
    const carriesBoth = () => connectionsOf(client)[0]?.subflows.every((subflow) => subflow[carried] > BYTES / 50);
    await lab.waitFor(() => carriesBoth() ?? false, DEADLINE, "data on both paths");
    await strike(world, done, daemon);
    assert.ok((await done).isIntact);
    assert.ok((await transfer(to, from, 10_000)).isIntact);
  });
}

for (const direction of ["up", "down"] as const) {
  kernelTest(`a path goes silent while data go ${direction}: closed, the other goes on, and back when it answers`, () =>
    underTraffic(direction, async (world, done, daemon) => {
      const { lab, client } = world;
      await lab.link("eth1").blackhole(true);
      await lab.waitFor(() => pathsOf(client).join() === SECOND, DEADLINE, "only the path that works");
      await done;
      assert.equal(pathsOf(client).join(), SECOND, "tried again, not trusted again");
      const token = connectionsOf(client)[0]?.token.toString(16).padStart(8, "0") ?? "";
      const why = conforms<Why>("why", subflow(client, "-j", "why", token).stdout);
      assert.ok((why.connection.attempts[0]?.lost_at ?? 0) > 0, "it is known since when");
      assert.match(subflow(client, "why", token).stdout, /10\.0\.1\.1 → 10\.0\.1\.2/);
      await lab.link("eth1").blackhole(false);
      await lab.waitFor(() => pathsOf(client).join() === [FIRST, SECOND].join(), DEADLINE, "the first path back");
      // The socket is there before the daemon has heard of it.
      const counted = async (): Promise<boolean> => {
        const { silent = 0, recoveries } = (await daemon.hello())?.paths ?? {};
        return silent >= 1 && (recoveries?.count ?? 0) >= 1;
      };
      await lab.waitFor(counted, DEADLINE, "a silence and a recovery counted");
      assert.match(
        subflow(client, "status").stdout,
        /recovered +[1-9]\d* +subflows that were lost and are there again, after /,
      );
      conforms("status", subflow(client, "-j", "status").stdout);
    }),
  );
}

kernelTest("cut off altogether: nothing is closed, and the data go on afterwards", () =>
  underTraffic("up", async (world) => {
    const before = portsOf(world);
    // At one moment, which two links cannot be.
    await nft(world.server, "tcp dport 1-65535 drop");
    await sleep(3000);
    assert.deepEqual(portsOf(world), before);
    await world.server.exec(["nft", "delete", "table", "inet", "lab"]);
  }),
);

kernelTest("hiccups of a path: at most some are taken for silence, and both paths carry data afterwards", () =>
  underTraffic("up", async (world, done) => {
    const { lab, client } = world;
    const link = lab.link("eth1");
    for (let hiccup = 0; hiccup < 6; hiccup++) {
      await link.blackhole(true);
      await sleep(150);
      await link.blackhole(false);
      await sleep(400);
    }
    await done;
    await lab.waitFor(() => pathsOf(client).join() === [FIRST, SECOND].join(), DEADLINE, "both paths");
  }),
);

kernelTest("a path that loses much is hardly used while the other can carry all of it", () =>
  inWorld(2, async (world) => {
    const { client, server } = world;
    await manage(world, "userspace");
    const connection = await connected(world, "userspace");
    let isOver = false;
    const pour = async (): Promise<void> => {
      while (!isOver) {
        await connection.client.send(20_000);
        await sleep(20);
      }
    };
    const poured = pour();
    await nft(server, "iifname eth1 meta length > 500 numgen random mod 100 < 20 drop");
    await sleep(3000);
    const figures = () => ({
      all: connectionsOf(client)[0]?.bytesSent ?? 0,
      second: subflowsOf(world.client).find(({ path }) => path.local.address === "10.0.2.1")?.bytesSent ?? 0,
    });
    const before = figures();
    await sleep(3000);
    const after = figures();
    // The bare kernel sends a fifth to a third of all there.
    assert.ok(after.second - before.second > 0.9 * (after.all - before.all), JSON.stringify([before, after]));
    isOver = true;
    await poured;
    await server.exec(["nft", "delete", "table", "inet", "lab"]);
    assert.ok((await transfer(connection.client, connection.server, 10_000)).isIntact);
  }),
);
