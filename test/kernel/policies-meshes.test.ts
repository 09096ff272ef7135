import assert from "node:assert/strict";
import { transfer } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import { configFile, DaemonProcess, DEADLINE, pathsOf, subflow, subflowsOf } from "./daemon-support.ts";
import { inWorld, linkNumbers, type World } from "./outage-support.ts";
import { sharesOf, withPolicy } from "./policy-support.ts";
import { kernelTest } from "./support.ts";

/** The server announces the addresses of its other links. */
async function announceAll(world: World): Promise<void> {
  const others = linkNumbers(world).filter((n) => n > 1);
  await world.server.ip(others.map((n) => `mptcp endpoint add 10.0.${n}.2 dev eth${n} signal`));
}

async function has(world: World, ...expected: string[]): Promise<void> {
  const paths = () => pathsOf(world.client).join();
  await world.lab.waitFor(() => paths() === expected.join(), DEADLINE, `${expected.join()}; now ${paths()}`);
}

const connect = async (world: World) => {
  const service = await world.server.listen({ address: "0.0.0.0" });
  const connection = await service.connect(world.client.netns, { to: "10.0.1.2" });
  await transfer(connection.client, connection.server, 1000);
  return connection;
};

kernelTest("fullmesh: each address with each of the peer's, and both links carry", () =>
  withPolicy("fullmesh", async (world) => {
    for (const link of ["eth1", "eth2"]) await world.lab.link(link).setRate("20mbit");
    await announceAll(world);
    const { client, server } = await connect(world);
    await has(world, "10.0.1.1>10.0.1.2", "10.0.1.1>10.0.2.2", "10.0.2.1>10.0.1.2", "10.0.2.1>10.0.2.2");
    const shares = await sharesOf(world, () => transfer(client, server, 6_000_000));
    assert.ok(Math.min(...shares) > 0.2, shares.join());
  }),
);

kernelTest("one-to-one: the first with the first, the second with the second; the data go both ways at once", () =>
  withPolicy(
    "one-to-one",
    async (world) => {
      for (const n of linkNumbers(world)) await world.lab.link(`eth${n}`).setRate("20mbit");
      await announceAll(world);
      const { client, server } = await connect(world);
      await has(world, "10.0.1.1>10.0.1.2", "10.0.2.1>10.0.2.2", "10.0.3.1>10.0.3.2");
      const shares = await sharesOf(world, () => transfer(client, server, 9_000_000));
      assert.ok(Math.min(...shares) > 0.1, shares.join());
    },
    { links: 3 },
  ),
);

kernelTest("ndiffports: several subflows between the same addresses, from different ports, each of which carries", () =>
  withPolicy(
    "{ name: ndiffports, subflows: 3 }",
    async (world) => {
      await world.lab.link("eth1").setRate("20mbit");
      const { client, server } = await connect(world);
      await has(world, ...Array.from({ length: 3 }, () => "10.0.1.1>10.0.1.2"));
      assert.equal(new Set(subflowsOf(world.client).map(({ path }) => path.local.port)).size, 3);
      assert.ok((await transfer(client, server, 5_000_000)).isIntact);
      for (const { bytesSent } of subflowsOf(world.client)) assert.ok(bytesSent > 100_000, `${bytesSent} bytes`);
    },
    { links: 1 },
  ),
);

kernelTest("none: nothing is opened, whatever the peer announces, and `why` says so", () =>
  withPolicy("none", async (world) => {
    await announceAll(world);
    const { client, server } = await connect(world);
    using pm = MptcpPm.open({ netns: world.client.netns });
    const heard = () => world.client.counters().AddAddr ?? 0;
    await world.lab.waitFor(() => heard() > 0, DEADLINE, "the announcement");
    assert.ok((await transfer(client, server, 1_000_000)).isIntact);
    assert.equal(pathsOf(world.client).join(), "10.0.1.1>10.0.1.2");
    const token = (pm.connections()[0]?.token ?? 0).toString(16).padStart(8, "0");
    assert.match(subflow(world.client, "why", token).stdout, /policy none does not want it now/);
  }),
);

kernelTest("announce-only: a server tells all of its addresses and opens nothing; a bare client connects to them", () =>
  inWorld(2, async (world) => {
    const { lab, client, server } = world;
    await server.ip(linkNumbers(world).map((n) => `route replace default via 10.0.${n}.1 dev eth${n} metric ${n}00`));
    const daemon = await DaemonProcess.start(lab, server, "--config", configFile("policy: announce-only\n"));
    await client.ip(["mptcp limits set subflows 8 add_addr_accepted 8"]);
    const { client: from, server: to } = await connect(world);
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "a subflow to what was announced");
    assert.match(pathsOf(client)[1] ?? "", />10\.0\.2\.2$/);
    assert.ok(subflowsOf(server).every(({ initiated }) => initiated !== true));
    assert.ok((await transfer(from, to, 1_000_000)).isIntact);
    assert.equal(await daemon.end(), 0);
  }),
);
