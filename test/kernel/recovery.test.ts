import assert from "node:assert/strict";
import { type Host, Lab, transfer } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import { connectionsOf, DaemonProcess, DEADLINE, KERNEL, pathsOf } from "./daemon-support.ts";
import { kernelTest, MPTCPD, peerTest, startMptcpd } from "./support.ts";

interface Two {
  readonly lab: Lab;
  readonly client: Host;
  readonly server: Host;
}

async function twoPaths(use: (two: Two) => Promise<void>): Promise<void> {
  const link = (name: string, n: number) => ({
    name,
    ends: { client: [`10.0.${n}.1/24`], server: [`10.0.${n}.2/24`] },
  });
  await using lab = await Lab.create({ hosts: { client: {}, server: {} }, links: [link("eth1", 1), link("eth2", 2)] });
  const two = { lab, client: lab.host("client"), server: lab.host("server") };
  await two.client.ip([1, 2].map((n) => `route add default via 10.0.${n}.2 dev eth${n} metric ${n}00`));
  using pm = MptcpPm.open({ netns: two.server.netns });
  pm.setLimits({ subflows: 8 });
  await use(two);
}

async function connected({ client, server }: Two, port: number) {
  const service = await server.listen({ address: "10.0.1.2", port });
  const connection = await service.connect(client.netns);
  await transfer(connection.client, connection.server, 100);
  await transfer(connection.server, connection.client, 100);
  return connection;
}

/** The peer's end of the second subflow dies: ours is reset. */
const resetSecond = (server: Host, port: number) =>
  server.exec(["ss", "-K", "dst", "10.0.2.1", "sport", "=", `${port}`]);

const PATHS = ["10.0.1.1>10.0.1.2", "10.0.2.1>10.0.1.2"];

for (const pathManager of ["kernel", "userspace"]) {
  kernelTest(`a subflow that was reset comes back: ${pathManager} path manager`, () =>
    twoPaths(async (two) => {
      const { lab, client, server } = two;
      const daemon = await DaemonProcess.start(lab, client, "--path-manager", pathManager);
      await connected(two, 5000);
      await lab.waitFor(() => pathsOf(client).join() === PATHS.join(), DEADLINE, "the second subflow");
      const port = () => connectionsOf(client)[0]?.subflows.find(({ join }) => join)?.path.local.port;
      const before = port();
      await resetSecond(server, 5000);
      await lab.waitFor(() => pathsOf(client).length === 1 || port() !== before, DEADLINE, "the loss");
      // The engine tries again by itself; the in-kernel path manager must be made to.
      if (pathManager === "kernel") await daemon.logged(/endpoint 10\.0\.2\.1 is used again: its subflows were lost/);
      await lab.waitFor(() => pathsOf(client).join() === PATHS.join(), DEADLINE, "the second subflow back");
      assert.notEqual(port(), before);
    }),
  );
}

kernelTest("a lost subflow waits while another connection has one from the same endpoint", () =>
  twoPaths(async (two) => {
    const { lab, client, server } = two;
    const daemon = await DaemonProcess.start(lab, client, ...KERNEL);
    await connected(two, 5000);
    const other = await connected(two, 6000);
    await lab.waitFor(() => pathsOf(client).length === 4, DEADLINE, "two connections with two subflows");
    await resetSecond(server, 5000);
    await daemon.logged(/cannot be brought back now: 1 connection has a subflow from it/);
    assert.equal(pathsOf(client).length, 3, "the other one was not harmed");
    other.destroy();
    await lab.waitFor(() => pathsOf(client).join() === PATHS.join(), DEADLINE, "back, when nobody is harmed any more");
  }),
);

kernelTest(
  "userspace path manager: a lost subflow comes back although another connection has one from the same endpoint",
  () =>
    twoPaths(async (two) => {
      const { lab, client, server } = two;
      await DaemonProcess.start(lab, client, "--path-manager", "userspace");
      await connected(two, 5000);
      await connected(two, 6000);
      await lab.waitFor(() => pathsOf(client).length === 4, DEADLINE, "two connections with two subflows");
      const ports = () => connectionsOf(client).flatMap(({ subflows }) => subflows.map(({ path }) => path.local.port));
      const before = ports();
      await resetSecond(server, 5000);
      const isBack = () =>
        pathsOf(client).length === 4 && ports().filter((port) => !before.includes(port)).length === 1;
      await lab.waitFor(isBack, DEADLINE, "another subflow instead of the lost one, and the others as they were");
    }),
);

for (const pathManager of ["kernel", "userspace"]) {
  kernelTest(`the initial link goes and comes back: ${pathManager} path manager`, () =>
    twoPaths(async (two) => {
      const { lab, client } = two;
      await DaemonProcess.start(lab, client, "--path-manager", pathManager);
      const connection = await connected(two, 5000);
      await lab.waitFor(() => pathsOf(client).join() === PATHS.join(), DEADLINE, "the second subflow");
      await lab.link("eth1").loseCarrier(client);
      await lab.waitFor(() => pathsOf(client).join() === PATHS[1], DEADLINE, "only the second path");
      assert.ok((await transfer(connection.server, connection.client, 100_000)).isIntact);
      await lab.link("eth1").up();
      await lab.waitFor(() => pathsOf(client).join() === PATHS.join(), DEADLINE, "the first path back");
      assert.ok((await transfer(connection.server, connection.client, 100_000)).isIntact);
    }),
  );
}

peerTest("mptcpd beside us: recognised, left alone, and the command named that turns it off", MPTCPD, () =>
  twoPaths(async ({ lab, client }) => {
    const hasBoth = await startMptcpd(lab, client);
    const daemon = await DaemonProcess.start(lab, client, ...KERNEL);
    await daemon.logged(/mptcpd \(process \d+\) sets MPTCP endpoints here too.*systemctl disable --now mptcp\.service/);
    assert.ok(hasBoth());
    assert.doesNotMatch(daemon.log, /endpoint (add|delete)/, "nothing to fight over");
    await daemon.end();
    assert.ok(hasBoth());
  }),
);
