import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { MptcpPm } from "../../src/netlink/index.ts";
import { ENDPOINT_FLAG } from "../../src/types/index.ts";
import { DaemonProcess, subflow, subflowsOf } from "./daemon-support.ts";
import { nft } from "./doctor-support.ts";
import { inWorld, manage, OUTAGES, type World } from "./outage-support.ts";
import { becomes, Chatter, roles } from "./policy-support.ts";
import { kernelTest } from "./support.ts";

const LOSSY = "10.0.1.1 backup,10.0.2.1 active";
const WELL = "10.0.1.1 active,10.0.2.1 active";

/** A client in kernel mode that talks over two paths; a fifth of what it sends by the first is lost from then on. */
async function losing(use: (world: World, daemon: DaemonProcess) => Promise<void>): Promise<void> {
  await inWorld(2, async (world) => {
    const daemon = await manage(world, "kernel");
    assert.ok(daemon);
    const service = await world.server.listen({ address: "0.0.0.0" });
    const connection = await service.connect(world.client.netns, { to: "10.0.1.2" });
    const talk = new Chatter(connection.client, connection.server, 20_000, 20);
    await becomes(world, WELL);
    await nft(world.server, "iifname eth1 meta length > 500 numgen random mod 100 < 20 drop");
    await becomes(world, LOSSY, 30_000);
    await use(world, daemon);
    await heal(world);
    assert.ok(await talk.end(), "all of it arrived");
  });
}

async function heal({ server }: World): Promise<void> {
  await server.exec(["nft", "add", "table", "inet", "lab"]);
  await server.exec(["nft", "delete", "table", "inet", "lab"]);
}

kernelTest(
  "kernel mode: a path that loses much is backup, carries when the other is gone, and again when it is well",
  () =>
    losing(async (world, daemon) => {
      const { lab, client, server } = world;
      await daemon.logged(/10\.0\.1\.1 is backup for \d+ s: \d+ % of what was sent from there had to be sent again/);
      const peers = () => subflowsOf(server).find(({ path }) => path.remote.address === "10.0.1.1")?.backupRemote;
      await lab.waitFor(() => peers() === true, 10_000, "the peer's knowing of it");
      // In a slow machine it is tried again, and found lossy again, before anybody could ask.
      const isSaid = () => /10\.0\.1\.1 is backup for now/.test(subflow(client, "status").stdout);
      await lab.waitFor(isSaid, 30_000, "its being said by status");
      await OUTAGES.carrier(world, 2, false);
      await becomes(world, "10.0.1.1 active");
      await heal(world);
      await OUTAGES.carrier(world, 2, true);
      await becomes(world, WELL, 60_000);
      // Longer than a doubt lasts.
      await sleep(6000);
      assert.equal(roles(world), WELL);
      assert.equal(await daemon.end(), 0, daemon.log);
    }),
);

for (const ends of ["is ended", "is killed, and another one comes"]) {
  kernelTest(`kernel mode: what was backup for its losses is not any more when the daemon ${ends}`, () =>
    losing(async (world, daemon) => {
      if (ends === "is ended") assert.equal(await daemon.end(), 0, daemon.log);
      else {
        await daemon.end("SIGKILL");
        await heal(world);
        await DaemonProcess.start(world.lab, world.client, "--path-manager", "kernel");
      }
      await becomes(world, WELL);
      using pm = MptcpPm.open({ netns: world.client.netns });
      assert.ok(pm.endpoints().every(({ flags }) => !(flags & ENDPOINT_FLAG.backup)));
    }),
  );
}
