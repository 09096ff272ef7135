import assert from "node:assert/strict";
import { once } from "node:events";
import { type Host, Lab, LabError, type Topology, transfer } from "../../src/lab/index.ts";
import { MptcpPm, Rtnl } from "../../src/netlink/index.ts";
import { type Address, type Connection, ENDPOINT_FLAG } from "../../src/types/index.ts";
import { kernelTest } from "./support.ts";

const TWO_PATHS: Topology = {
  hosts: { client: { sourceRoutes: true }, server: {} },
  links: [
    {
      name: "wifi",
      ends: { client: ["10.0.1.1/24", "fd00:1::1/64"], server: ["10.0.1.2/24", "fd00:1::2/64"] },
      rate: "50mbit",
    },
    { name: "cellular", ends: { client: ["10.0.2.1/24"], server: ["10.0.2.2/24"] }, rate: "50mbit" },
  ],
};
const IFF_UP = 1;
const IFF_LOWER_UP = 0x10000;

/** A connection over wifi with a second subflow over cellular. */
async function connectTwice(
  lab: Lab,
): Promise<{ connection: Awaited<ReturnType<typeof connect>>; show: () => Connection }> {
  const client = lab.host("client");
  using pm = MptcpPm.open({ netns: client.netns });
  pm.setLimits({ subflows: 2 });
  pm.addEndpoint({ address: "10.0.2.1" as Address, flags: ENDPOINT_FLAG.subflow });
  const connection = await connect(lab, "10.0.1.2");
  const show = (): Connection => {
    using again = MptcpPm.open({ netns: client.netns });
    return again.connections()[0]!;
  };
  await transfer(connection.client, connection.server, 1000);
  await lab.waitFor(() => show().subflows.length === 2, 5000, "the second subflow");
  return { connection, show };
}

async function connect(lab: Lab, address: string) {
  const service = await lab.host("server").listen({ address });
  return service.connect(lab.host("client").netns);
}

function linkFlags(host: Host, name: string): number {
  using rtnl = Rtnl.open({ netns: host.netns });
  return rtnl.links().find((link) => link.name === name)!.flags;
}

kernelTest("the host's own links stay as they are", async () => {
  using rtnl = Rtnl.open();
  const names = (): string[] => rtnl.links().map(({ name }) => name);
  const before = names();
  await using lab = await Lab.create(TWO_PATHS);
  assert.deepEqual(names(), before);
  using inside = Rtnl.open({ netns: lab.host("client").netns });
  assert.deepEqual(
    inside
      .links()
      .map(({ name }) => name)
      .sort(),
    ["cellular", "lo", "wifi"],
  );
});

for (const address of ["10.0.1.2", "fd00:1::2"]) {
  kernelTest(`traffic arrives intact, both ways, to ${address}`, async () => {
    await using lab = await Lab.create(TWO_PATHS);
    const { client, server } = await connect(lab, address);
    assert.deepEqual((await transfer(client, server, 300_001)).isIntact, true);
    for (let round = 0; round < 5; round++) {
      assert.ok((await transfer(client, server, 100)).isIntact);
      assert.ok((await transfer(server, client, 50_000)).isIntact);
    }
    assert.equal(lab.host("client").counters().MPCapableSYNACKRX, 1, "it is MPTCP");
    assert.equal(client.bytesReceived, 250_000);
  });
}

kernelTest("a transfer goes on over the other path when a link is switched off, and comes back", async () => {
  await using lab = await Lab.create(TWO_PATHS);
  const { connection, show } = await connectTwice(lab);
  const running = transfer(connection.client, connection.server, 8_000_000);
  await lab.waitFor(() => connection.server.bytesReceived > 500_000, 10_000, "the transfer to run");
  const wifi = lab.link("wifi");
  await wifi.down(lab.host("client"));
  assert.equal(linkFlags(lab.host("client"), "wifi") & IFF_UP, 0);
  const sentBefore = show().subflows.find(({ join }) => join)!.bytesSent;
  assert.ok((await running).isIntact);
  assert.ok(show().subflows.find(({ join }) => join)!.bytesSent > sentBefore, "the join carried data");
  await wifi.up();
  const service = await lab.host("server").listen({ address: "10.0.1.2" });
  const again = await service.connect(lab.host("client").netns, { from: "10.0.1.1" });
  assert.ok((await transfer(again.client, again.server, 1000)).isIntact);
});

kernelTest("a carrier is lost at one end only", async () => {
  await using lab = await Lab.create(TWO_PATHS);
  const [client, wifi] = [lab.host("client"), lab.link("wifi")];
  assert.equal(linkFlags(client, "wifi") & (IFF_UP | IFF_LOWER_UP), IFF_UP | IFF_LOWER_UP);
  await wifi.loseCarrier(client);
  await lab.waitFor(() => (linkFlags(client, "wifi") & IFF_LOWER_UP) === 0, 5000, "no carrier");
  assert.equal(linkFlags(client, "wifi") & IFF_UP, IFF_UP);
  await wifi.up();
  await lab.waitFor(() => linkFlags(client, "wifi") & IFF_LOWER_UP, 5000, "a carrier");
});

kernelTest("a blackhole swallows packets without a sign, and lets go", async () => {
  await using lab = await Lab.create(TWO_PATHS);
  const { connection } = await connectTwice(lab);
  const [client, wifi] = [lab.host("client"), lab.link("wifi")];
  await wifi.blackhole(true);
  assert.equal(linkFlags(client, "wifi") & IFF_LOWER_UP, IFF_LOWER_UP);
  const arrived = async (): Promise<number> => {
    const { stdout } = await lab.host("server").exec(["ip", "-j", "-s", "link", "show", "wifi"]);
    return JSON.parse(stdout)[0].stats64.rx.packets;
  };
  const before = await arrived();
  assert.ok((await transfer(connection.client, connection.server, 2_000_000)).isIntact, "cellular carries it");
  assert.equal(await arrived(), before);
  await wifi.blackhole(false);
  assert.match((await client.exec(["tc", "qdisc", "show", "dev", "wifi"])).stdout, /tbf .* rate 50Mbit/);
  const direct = await connect(lab, "10.0.1.2");
  assert.ok((await transfer(direct.client, direct.server, 1000)).isIntact);
});

kernelTest("rates change and addresses come and go, with their source rules", async () => {
  await using lab = await Lab.create(TWO_PATHS);
  const [client, wifi] = [lab.host("client"), lab.link("wifi")];
  await wifi.setRate("3mbit");
  assert.match((await client.exec(["tc", "qdisc", "show", "dev", "wifi"])).stdout, /rate 3Mbit/);
  await wifi.setRate(undefined);
  assert.doesNotMatch((await client.exec(["tc", "qdisc", "show", "dev", "wifi"])).stdout, /tbf/);

  await wifi.addAddress(client, "10.0.1.7/24");
  const route = async (): Promise<string> =>
    (await client.exec(["ip", "route", "get", "10.9.9.9", "from", "10.0.1.7"])).stdout;
  assert.match(await route(), /via 10\.0\.1\.2 dev wifi/);
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  const { server } = await service.connect(client.netns, { to: "10.0.1.2", from: "10.0.1.7" });
  assert.equal(server.socket.remoteAddress, "10.0.1.7");
  await wifi.deleteAddress(client, "10.0.1.7/24");
  await assert.rejects(route(), { code: "LAB_COMMAND" });
});

kernelTest("commands, sysctls and deadlines", async () => {
  await using lab = await Lab.create({ hosts: { one: { sysctls: { "net.mptcp.pm_type": 1 } } }, links: [] });
  const one = lab.host("one");
  assert.equal(one.sysctl("net.mptcp.pm_type"), "1");
  assert.equal(one.sysctl("net.mptcp.stale_loss_cnt", 2), "2");
  assert.equal((await one.exec(["cat"], { input: "hello" })).stdout, "hello");
  await assert.rejects(one.exec(["sh", "-c", "echo no >&2; exit 3"]), /failed with status 3: no/);
  await assert.rejects(
    lab.waitFor(() => false, 10, "a miracle"),
    /waited \d+ ms in vain for: a miracle/,
  );
  assert.throws(() => lab.host("two"), LabError);
  const child = one.spawn(["sleep", "1000"]);
  const ended = once(child, "exit");
  await lab[Symbol.asyncDispose]();
  assert.deepEqual(await ended, [null, "SIGKILL"]);
});

kernelTest("a refused connection is an error, not a hang", async () => {
  await using lab = await Lab.create(TWO_PATHS);
  const service = await lab.host("server").listen({ address: "10.0.1.2" });
  service.close();
  await assert.rejects(service.connect(lab.host("client").netns));
});
