import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Host, Lab, transfer } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import { DaemonProcess, DEADLINE, KERNEL, pathsOf } from "./daemon-support.ts";
import { MPTCPD, peerTest } from "./support.ts";

/*
 * The real mptcpd beside Subflow, as Debian starts it and with the packaged drop-in. That it stays off with the other drop-in takes systemd: `npm run vm:service`.
 */

const DROP_IN = join(import.meta.dirname, "..", "..", "..", "packaging", "drop-ins", "mptcpd-beside.conf");
/** What the drop-in runs, with the log where the test is. */
const BESIDE = (/^ExecStart=(\/.*)$/m.exec(readFileSync(DROP_IN, "utf8"))?.[1] ?? "")
  .replace("--log=journal", "--log=stderr")
  .split(" ");
const DEBIANS = [MPTCPD, "--log=stderr"];
const PATHS = ["10.0.1.1>10.0.1.2", "10.0.2.1>10.0.1.2"];
const GUEST = "10.0.2.77";

interface World {
  readonly lab: Lab;
  readonly client: Host;
  readonly server: Host;
  readonly pm: MptcpPm;
}

/** A client with two links, on which mptcpd runs. */
async function beside(command: readonly string[], use: (world: World) => Promise<void>): Promise<void> {
  const link = (n: number) => ({
    name: `eth${n}`,
    ends: { client: [`10.0.${n}.1/24`], server: [`10.0.${n}.2/24`] },
  });
  await using lab = await Lab.create({ hosts: { client: {}, server: {} }, links: [link(1), link(2)] });
  const [client, server] = [lab.host("client"), lab.host("server")];
  await client.ip([1, 2].map((n) => `route add default via 10.0.${n}.2 dev eth${n} metric ${n}00`));
  using theirs = MptcpPm.open({ netns: server.netns });
  theirs.setLimits({ subflows: 8 });
  using pm = MptcpPm.open({ netns: client.netns });
  const mptcpd = client.spawn(command, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  mptcpd.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk;
  });
  await lab.waitFor(
    () => said.includes("path manager initialized"),
    DEADLINE,
    () => `mptcpd: ${said}`,
  );
  await use({ lab, client, server, pm });
  assert.equal(mptcpd.exitCode, null, `mptcpd ended: ${said}`);
}

async function connected({ lab, client, server }: World) {
  const service = await server.listen({ address: "10.0.1.2" });
  const connection = await service.connect(client.netns);
  await transfer(connection.client, connection.server, 100);
  await transfer(connection.server, connection.client, 100);
  await lab.waitFor(() => pathsOf(client).join() === PATHS.join(), DEADLINE, "the second subflow");
  return connection;
}

const addressesOf = (pm: MptcpPm) => pm.endpoints().map(({ address }) => address);

peerTest(
  "as Debian starts it, mptcpd deletes an endpoint of ours by its number: it is put back, and who did it is named",
  MPTCPD,
  () =>
    beside(DEBIANS, async ({ lab, client, pm }) => {
      const daemon = await DaemonProcess.start(lab, client, ...KERNEL);
      await lab.waitFor(() => addressesOf(pm).join() === "10.0.1.1,10.0.2.1", DEADLINE, "our endpoints");
      // It gives the address the number 1, which is ours, is refused, and deletes number 1 when the address goes.
      await client.ip([`address add ${GUEST}/24 dev eth2`]);
      await lab.waitFor(() => addressesOf(pm).some((each) => each === GUEST), DEADLINE, "our third endpoint");
      await client.ip([`address del ${GUEST}/24 dev eth2`]);
      await daemon.logged(/endpoint 10\.0\.1\.1 was removed by somebody else: it is added again/);
      await daemon.logged(
        /mptcpd \(process \d+\) sets MPTCP endpoints here too.*systemctl disable --now mptcp\.service/,
      );
      await lab.waitFor(() => addressesOf(pm).sort().join() === "10.0.1.1,10.0.2.1", DEADLINE, "our endpoints again");
      assert.equal(await daemon.end(), 0, daemon.log);
    }),
);

for (const pathManager of ["kernel", "userspace"] as const) {
  peerTest(
    `by the packaged drop-in mptcpd runs beside Subflow, and nothing is fought over: ${pathManager} path manager`,
    MPTCPD,
    () =>
      beside(BESIDE, async (world) => {
        const { lab, client, pm } = world;
        const daemon = await DaemonProcess.start(lab, client, "--path-manager", pathManager);
        const connection = await connected(world);
        await lab.link("eth1").loseCarrier(client);
        await lab.waitFor(() => pathsOf(client).join() === PATHS[1], DEADLINE, "only the second path");
        assert.ok((await transfer(connection.server, connection.client, 100_000)).isIntact);
        await lab.link("eth1").up();
        await lab.waitFor(() => pathsOf(client).join() === PATHS.join(), DEADLINE, "the first path back");
        await client.ip([`address add ${GUEST}/24 dev eth2`]);
        await lab.waitFor(() => pathsOf(client).some((path) => path.startsWith(GUEST)), DEADLINE, "a third subflow");
        await client.ip([`address del ${GUEST}/24 dev eth2`]);
        await lab.waitFor(() => pathsOf(client).join() === PATHS.join(), DEADLINE, "the third subflow gone");
        assert.ok((await transfer(connection.client, connection.server, 100_000)).isIntact);
        assert.deepEqual(
          addressesOf(pm).sort(),
          pathManager === "kernel" ? ["10.0.1.1", "10.0.2.1"] : [],
          "no endpoint but ours",
        );
        assert.doesNotMatch(daemon.log, /somebody else|sets MPTCP endpoints here too/);
        connection.destroy();
        assert.equal(await daemon.end(), 0, daemon.log);
        assert.deepEqual(addressesOf(pm), [], "nothing is left");
      }),
  );
}
