import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { transfer } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import { configFile, DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import { connected, inWorld, manage, portsOf, returnDeadline, within } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

const RETURN_DEADLINE = returnDeadline(500);

for (const mode of ["kernel", "userspace"] as const) {
  kernelTest(`SIGTERM keeps every subflow, and the next start takes over: ${mode} path manager`, () =>
    inWorld(2, async (world) => {
      const { client } = world;
      const connection = await (async () => {
        const daemon = await manage(world, mode);
        const made = await connected(world, mode);
        assert.equal(await daemon?.end(), 0);
        return made;
      })();
      assert.equal(pathsOf(client).length, 2, "after the end");
      assert.ok((await within(RETURN_DEADLINE, transfer(connection.client, connection.server, 100_000)))?.isIntact);
      const before = portsOf(client);
      const next = await manage(world, mode);
      assert.equal(pathsOf(client).length, 2, "after the next start");
      connection.destroy();
      assert.deepEqual(before.length, 2);
      await world.lab.waitFor(() => pathsOf(client).length === 0, DEADLINE, "the end of the connection");
      assert.equal(await next?.end(), 0);
      using pm = MptcpPm.open({ netns: client.netns });
      assert.deepEqual(pm.endpoints(), [], "nothing is left when nothing needs it");
    }),
  );
}

for (const mode of ["kernel", "userspace"] as const) {
  kernelTest(
    `a server whose link fails takes nothing back: its clients' subflows are there when it returns, ${mode}`,
    () =>
      inWorld(2, async (world) => {
        const { lab, client, server } = world;
        await server.ip([
          "route add default via 10.0.1.1 dev eth1",
          "route add default via 10.0.2.1 dev eth2 metric 9",
        ]);
        using pm = MptcpPm.open({ netns: client.netns });
        pm.setLimits({ subflows: 2, addAddrAccepted: 2 });
        const config = configFile("profile: server\n");
        const daemon = await DaemonProcess.start(lab, server, "--path-manager", mode, "--config", config);
        const connection = await connected(world, mode);
        const before = portsOf(client).sort();
        for (const n of [1, 2]) await lab.link(`eth${n}`).loseCarrier(server);
        await sleep(500);
        for (const n of [1, 2]) await lab.link(`eth${n}`).up();
        assert.ok((await within(RETURN_DEADLINE, transfer(connection.server, connection.client, 50_000)))?.isIntact);
        assert.ok((await within(RETURN_DEADLINE, transfer(connection.client, connection.server, 50_000)))?.isIntact);
        assert.deepEqual(portsOf(client).sort(), before, daemon.log);
      }),
  );

  kernelTest(
    `SIGHUP that takes away the role of the only path: the connection keeps it until it has another, ${mode}`,
    () =>
      inWorld(2, async (world) => {
        const { lab, client } = world;
        const config = configFile("interfaces: [{ name: eth2, role: off }]\n");
        const daemon = await DaemonProcess.start(lab, client, "--path-manager", mode, "--config", config);
        const connection = await connected({ ...world, links: 1 }, mode);
        writeFileSync(config, "interfaces: [{ name: eth*, role: off }]\n");
        daemon.signal("SIGHUP");
        await daemon.logged(/configuration read again/);
        assert.ok((await within(RETURN_DEADLINE, transfer(connection.client, connection.server, 50_000)))?.isIntact);
        assert.deepEqual(pathsOf(client), ["10.0.1.1>10.0.1.2"]);
        writeFileSync(config, "interfaces: [{ name: eth1, role: off }]\n");
        daemon.signal("SIGHUP");
        await lab.waitFor(
          () => pathsOf(client).join() === "10.0.2.1>10.0.1.2",
          DEADLINE,
          `the other path alone\n${daemon.log}`,
        );
        assert.ok((await within(RETURN_DEADLINE, transfer(connection.client, connection.server, 50_000)))?.isIntact);
      }),
  );
}
