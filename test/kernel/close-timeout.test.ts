import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { type Host, type Lab, type TrafficConnection, transfer } from "../../src/lab/index.ts";
import type { Millis } from "../../src/types/index.ts";
import { connectionsOf, DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import { inWorld, returnDeadline, within } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

const TIMEOUT = "net.mptcp.close_timeout";
const route = (n: number): string => `route replace default via 10.0.${n}.2 dev eth${n} metric ${n}00`;

async function bothWays({ client, server }: TrafficConnection, outage: Millis): Promise<void> {
  const both = [transfer(client, server, 20_000), transfer(server, client, 20_000)];
  for (const report of await within(returnDeadline(outage), Promise.all(both))) assert.ok(report.isIntact);
}

for (const mode of ["kernel", "userspace"] as const) {
  for (const isBusy of [false, true]) {
    kernelTest(`an outage longer than close_timeout is none: ${isBusy ? "busy" : "idle"}, ${mode} path manager`, () =>
      inWorld(1, async ({ lab, client, server }) => {
        for (const host of [client, server]) host.sysctl(TIMEOUT, 1);
        await DaemonProcess.start(lab, client, "--path-manager", mode);
        const service = await server.listen({ address: "0.0.0.0" });
        const connection = await service.connect(client.netns, { to: "10.0.1.2" });
        await bothWays(connection, 0);
        await lab.link("eth1").loseCarrier(client);
        const during = isBusy ? bothWays(connection, 5000) : undefined;
        during?.catch(() => undefined);
        await sleep(5000);
        await lab.link("eth1").up();
        await during;
        await bothWays(connection, 5000);
      }),
    );
  }
}

interface Left {
  readonly lab: Lab;
  readonly client: Host;
  readonly connection: TrafficConnection;
}

/** A connection whose only subflow somebody has closed, on a host without a network; so many seconds later the kernel gives it up. */
async function leftWithNothing(timeout: number, use: (left: Left) => Promise<void>): Promise<void> {
  await inWorld(2, async ({ lab, client, server }) => {
    await client.ip(["link set eth2 down"]);
    client.sysctl(TIMEOUT, timeout);
    await DaemonProcess.start(lab, client, "--path-manager", "userspace");
    const service = await server.listen({ address: "0.0.0.0" });
    const connection = await service.connect(client.netns, { to: "10.0.1.2" });
    await bothWays(connection, 0);
    await client.ip(["link set eth1 down"]);
    await client.exec(["ss", "-K", "src", "10.0.1.1"]);
    await lab.waitFor(() => connectionsOf(client)[0]?.subflows.length === 0, DEADLINE, "nothing left");
    await use({ lab, client, connection });
  });
}

async function goesOn({ lab, client, connection }: Left): Promise<void> {
  await client.ip(["link set eth2 up", route(2)]);
  await lab.waitFor(() => pathsOf(client).join() === "10.0.2.1>10.0.1.2", DEADLINE, "a subflow from the new network");
  await bothWays(connection, 5000);
}

kernelTest("close_timeout: what has nothing left goes on over a network that comes within it", () =>
  leftWithNothing(30, async (left) => {
    await sleep(2000);
    await goesOn(left);
  }),
);

kernelTest("close_timeout: after it the application has been told, and nobody can help", () =>
  leftWithNothing(2, async ({ lab, client, connection }) => {
    await lab.waitFor(() => connectionsOf(client).length === 0, DEADLINE, "the kernel to give up");
    await lab.waitFor(() => connection.client.error !== undefined, DEADLINE, "the application's error");
    await client.ip(["link set eth2 up", route(2)]);
    await sleep(500);
    assert.deepEqual(connectionsOf(client), []);
  }),
);

kernelTest("close_timeout: raised while a connection waits, it holds for that one, too", () =>
  leftWithNothing(3, async (left) => {
    left.client.sysctl(TIMEOUT, 600);
    await sleep(5000);
    await goesOn(left);
  }),
);
