import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { type Host, type Lab, type TrafficConnection, transfer } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import { DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import { inWorld } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

const route = (n: number): string => `route replace default via 10.0.${n}.2 dev eth${n} metric ${n}00`;

interface Stranded {
  readonly lab: Lab;
  readonly client: Host;
  readonly connection: TrafficConnection;
}

/** How the client's only network is dead. The kernel waits for the peer to confirm the end of a subflow, where packets are lost for a while. */
type End = "drops all, then the subflow is closed" | "goes down after the subflow is closed";

/** A connection without a subflow, for somebody has closed its only one, and of a host without a network; eth2 is down still. */
async function stranded(end: End, use: (world: Stranded) => Promise<void>): Promise<void> {
  await inWorld(2, async ({ lab, client, server }) => {
    await client.ip(["link set eth2 down"]);
    await DaemonProcess.start(lab, client, "--path-manager", "userspace");
    const service = await server.listen({ address: "0.0.0.0" });
    const connection = await service.connect(client.netns, { to: "10.0.1.2" });
    assert.ok((await transfer(connection.client, connection.server, 10_000)).isIntact);
    if (end === "drops all, then the subflow is closed") await lab.link("eth1").blackhole(true);
    const isLeftWithNothing = async (): Promise<boolean> => {
      closeOnly(client);
      if (end === "drops all, then the subflow is closed") return true;
      await client.ip(["link set eth1 down"]);
      for (let wait = 0; wait < 20 && pathsOf(client).length > 0; wait++) await sleep(100);
      if (pathsOf(client).length === 0) return true;
      // On a busy machine the daemon has opened it again before the link was down.
      await client.ip(["link set eth1 up", route(1)]);
      await lab.waitFor(() => pathsOf(client).length === 1, DEADLINE, "the subflow again");
      return false;
    };
    await lab.waitFor(isLeftWithNothing, DEADLINE, "a connection that is left with nothing");
    await lab.waitFor(() => pathsOf(client).length === 0, DEADLINE, "no subflow left");
    await use({ lab, client, connection });
  });
}

function closeOnly(client: Host): void {
  using pm = MptcpPm.open({ netns: client.netns });
  const [only] = pm.connections();
  const subflow = only?.subflows.find(({ state }) => state === "established");
  assert.ok(only && subflow);
  pm.destroySubflow({ token: only.token, path: subflow.path });
}

kernelTest("nothing left: a connection without any subflow goes on over the first network that comes", () =>
  stranded("drops all, then the subflow is closed", async ({ lab, client, connection }) => {
    // What is written meanwhile is kept.
    const sent = transfer(connection.client, connection.server, 50_000);
    await sleep(2000);
    assert.equal(pathsOf(client).length, 0, "its own network is dead still");
    await client.ip(["link set eth2 up", route(2)]);
    await lab.waitFor(() => pathsOf(client).join() === "10.0.2.1>10.0.1.2", DEADLINE, "a subflow from the new network");
    assert.ok((await sent).isIntact);
    assert.ok((await transfer(connection.server, connection.client, 50_000)).isIntact);
  }),
);

kernelTest("nothing left and no network: it goes on over the first that comes", () =>
  stranded("goes down after the subflow is closed", async ({ lab, client, connection }) => {
    await sleep(2000);
    await client.ip(["link set eth2 up", route(2)]);
    await lab.waitFor(() => pathsOf(client).join() === "10.0.2.1>10.0.1.2", DEADLINE, "a subflow from the new network");
    assert.ok((await transfer(connection.client, connection.server, 50_000)).isIntact);
  }),
);
