import assert from "node:assert/strict";
import { MptcpPm } from "../../src/netlink/index.ts";
import { type Address, ENDPOINT_FLAG } from "../../src/types/index.ts";
import { configFile, DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import { inWorld, OUTAGES, type World } from "./outage-support.ts";
import { becomes, Chatter, sharesOf } from "./policy-support.ts";
import { kernelTest } from "./support.ts";

/** A client whose in-kernel path manager has this policy, as flags and limits say it. */
async function inKernel(policy: string, use: (world: World) => Promise<void>, links = 2): Promise<void> {
  await inWorld(links, async (world) => {
    const config = configFile(`path_manager: kernel\npolicy: ${policy}\n`);
    const daemon = await DaemonProcess.start(world.lab, world.client, "--config", config);
    await use(world);
    assert.equal(await daemon.end(), 0, daemon.log);
  });
}

async function connect({ client, server }: World) {
  const service = await server.listen({ address: "0.0.0.0" });
  return service.connect(client.netns, { to: "10.0.1.2" });
}

kernelTest(
  "active-backup in kernel mode: the second path carries while the first is gone, and no more when it is back",
  () =>
    inKernel("active-backup", async (world) => {
      const connection = await connect(world);
      const talk = new Chatter(connection.client, connection.server, 20_000, 20);
      await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
      const pause = () => new Promise((resolve) => setTimeout(resolve, 1500));
      const [first = 0] = await sharesOf(world, pause);
      assert.ok(first > 0.9, `the first carries ${first}`);
      const carrier = OUTAGES.carrier;
      await carrier(world, 1, false);
      await becomes(world, "10.0.2.1 active");
      const [, second = 0] = await sharesOf(world, pause);
      assert.ok(second > 0.9, `the second carries ${second}`);
      await carrier(world, 1, true);
      await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
      const [again = 0] = await sharesOf(world, pause);
      assert.ok(again > 0.9, `the first carries ${again} again`);
      assert.ok(await talk.end(), "all of it arrived");
    }),
);

kernelTest("fullmesh in kernel mode: each address with each of the peer's", () =>
  inKernel("fullmesh", async (world) => {
    using pm = MptcpPm.open({ netns: world.server.netns });
    pm.addEndpoint({ address: "10.0.2.2" as Address, flags: ENDPOINT_FLAG.signal });
    await connect(world);
    const all = ["10.0.1.1>10.0.1.2", "10.0.1.1>10.0.2.2", "10.0.2.1>10.0.1.2", "10.0.2.1>10.0.2.2"];
    const there = (): string => [...pathsOf(world.client)].sort().join();
    await world.lab.waitFor(() => there() === all.join(), DEADLINE, `all four; now ${there()}`);
  }),
);

kernelTest("none in kernel mode: one path; announce-only: the peer is told, and nothing is opened", async () => {
  await inKernel("none", async (world) => {
    using pm = MptcpPm.open({ netns: world.client.netns });
    assert.deepEqual(pm.endpoints(), []);
    assert.equal(pm.limits().addAddrAccepted, 0);
  });
  await inKernel("announce-only", async (world) => {
    using pm = MptcpPm.open({ netns: world.client.netns });
    assert.deepEqual(
      pm.endpoints().map(({ flags }) => flags),
      [ENDPOINT_FLAG.signal, ENDPOINT_FLAG.signal],
    );
    assert.equal(pm.limits().addAddrAccepted, 0);
  });
});
