import assert from "node:assert/strict";
import { describe } from "node:test";
import { transfer } from "../../src/lab/index.ts";
import { MptcpPm, probeFeatures, writePathManager } from "../../src/netlink/index.ts";
import { type Address, carriedBy, ENDPOINT_FLAG } from "../../src/types/index.ts";
import { connectionsOf, DaemonProcess, DEADLINE, pathsOf, subflow } from "./daemon-support.ts";
import { connected, inWorld, within } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

/*
 * What differs from kernel to kernel (docs/kernels.md), held on whichever one this runs: `npm run test:kernels` runs it on several.
 */

describe("on any kernel", { concurrency: 1 }, () => {
  kernelTest("whose a connection is, and what it carried, is known without a daemon", () =>
    inWorld(1, async ({ client, server }) => {
      const service = await server.listen({ address: "0.0.0.0" });
      const owners = ["kernel", "userspace"] as const;
      const made = [];
      for (const owner of owners) {
        writePathManager(owner, client.netns);
        const connection = await service.connect(client.netns, { to: "10.0.1.2" });
        await transfer(connection.client, connection.server, 5000);
        await transfer(connection.server, connection.client, 1000);
        made.push(connection);
      }
      const all = connectionsOf(client);
      assert.deepEqual(all.map(({ pathManager }) => pathManager).sort(), owners);
      for (const each of all) {
        const { sent, received, exact } = carriedBy(each);
        assert.ok(sent >= 5000 && received >= 1000, `${sent} ${received}`);
        assert.equal(exact, each.bytesSent !== undefined);
      }
      const { stdout } = subflow(client, "connections");
      const count = all[0]?.bytesSent === undefined ? "at least " : "";
      assert.match(stdout, new RegExp(`kernel path manager.*sent ${count}5.*kB`), stdout);
      assert.match(stdout, new RegExp(`userspace path manager.*sent ${count}5.*kB`), stdout);
      for (const each of made) each.destroy();
    }),
  );

  kernelTest("a daemon that starts again takes its connections over, explains them, and mends the next loss", () =>
    inWorld(2, async (world) => {
      const { lab, client } = world;
      const start = () => DaemonProcess.start(lab, client, "--path-manager", "userspace");
      const first = await start();
      const connection = await connected(world, "userspace");
      const [{ token } = { token: 0 }] = connectionsOf(client);
      await first.end("SIGKILL");
      const second = await start();
      await second.logged(/ready: 1 connections adopted/);
      const name = token.toString(16).padStart(8, "0");
      const { stdout } = subflow(client, "why", name);
      assert.match(stdout, /yes +subflow 10\.0\.1\.1:\d+ → .*initial/, stdout);
      assert.match(stdout, /yes +subflow 10\.0\.2\.1:\d+ → .*join/, stdout);
      await lab.link("eth1").loseCarrier(client);
      const left = () => pathsOf(client).map((path) => path.split(">")[0]);
      await lab.waitFor(() => left().join() === "10.0.2.1", DEADLINE, "the lost subflow closed");
      const both = [
        transfer(connection.client, connection.server, 50_000),
        transfer(connection.server, connection.client, 50_000),
      ];
      const reports = await within(DEADLINE, Promise.all(both));
      assert.ok(reports.every(({ isIntact }) => isIntact));
      connection.destroy();
      assert.equal(await second.end(), 0, second.log);
    }),
  );

  kernelTest("limits and endpoints as large as the kernel has them, with either path manager", (context) =>
    inWorld(1, async ({ lab, client }) => {
      const { limitMax = 0, endpointsMax = 0 } = probeFeatures();
      context.diagnostic(`limits up to ${limitMax}, ${endpointsMax} endpoints`);
      assert.ok(limitMax >= 8 && endpointsMax >= 8);
      const attempt = (n: number) => subflow(client, "limits", "set", "subflows", `${n}`);
      assert.equal(attempt(limitMax).status, 0);
      assert.notEqual(attempt(limitMax + 1).status, 0);
      using pm = MptcpPm.open({ netns: client.netns });
      for (let n = 1; n < endpointsMax; n++)
        pm.addEndpoint({ address: `10.7.0.${n}` as Address, flags: ENDPOINT_FLAG.subflow });
      const add = (address: string) => subflow(client, "endpoint", "add", address, "subflow");
      assert.equal(add("10.8.0.1").status, 0);
      assert.notEqual(add("10.8.0.2").status, 0);
      assert.equal(pm.endpoints().length, endpointsMax);
      subflow(client, "endpoint", "flush");
      const daemon = await DaemonProcess.start(lab, client, "--path-manager", "userspace", "--no-automatic");
      assert.equal(attempt(limitMax).status, 0);
      assert.notEqual(attempt(limitMax + 1).status, 0);
      assert.equal(await daemon.end(), 0, daemon.log);
    }),
  );
});
