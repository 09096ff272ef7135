import assert from "node:assert/strict";
import { describe } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Host, patience, type TrafficConnection, transfer } from "../../src/lab/index.ts";
import {
  MptcpPm,
  NetlinkError,
  probeFeatures,
  Rtnl,
  readSysctl,
  writePathManager,
  writeSysctl,
} from "../../src/netlink/index.ts";
import {
  type Address,
  carriedBy,
  ENDPOINT_FLAG,
  MPTCP_EVENT,
  type MptcpEvent,
  type SubflowInfo,
} from "../../src/types/index.ts";
import {
  configFile,
  connectionsOf,
  DaemonProcess,
  DEADLINE,
  pathsOf,
  SUBFLOW,
  subflow,
  subflowsOf,
} from "./daemon-support.ts";
import { connected, inWorld, manage, type World, within } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

/*
 * What differs from kernel to kernel (docs/kernels.md), held on whichever one this runs: `npm run test:kernels` runs it on several.
 */

const WITHOUT_SYS_ADMIN = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"];

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
      await carriesOn(connection);
      connection.destroy();
      assert.equal(await second.end(), 0, second.log);
    }),
  );

  kernelTest("the in-kernel path manager, set up by the daemon, carries on after a loss", () =>
    inWorld(2, async (world) => {
      const { lab, client } = world;
      const daemon = await manage(world, "kernel");
      const connection = await connected(world, "kernel");
      await lab.link("eth1").loseCarrier(client);
      await carriesOn(connection);
      connection.destroy();
      assert.equal(await daemon?.end(), 0, daemon?.log);
    }),
  );

  kernelTest("an address for backup carries nothing until the loss of the other one, userspace path manager", () =>
    inWorld(2, async ({ lab, client, server }) => {
      const config = configFile("interfaces:\n  - { name: eth2, role: backup }\n");
      const daemon = await DaemonProcess.start(lab, client, "--path-manager", "userspace", "--config", config);
      const service = await server.listen({ address: "0.0.0.0" });
      const connection = await service.connect(client.netns, { to: "10.0.1.2" });
      await transfer(connection.client, connection.server, 1000);
      await transfer(connection.server, connection.client, 1000);
      const second = () => subflowsOf(client).find(({ path }) => path.local.address === "10.0.2.1");
      await lab.waitFor(() => second()?.backupLocal === true, DEADLINE, "a backup subflow");
      const theirs = () => subflowsOf(server).find(({ path }) => path.remote.address === "10.0.2.1");
      await lab.waitFor(() => theirs()?.backupRemote === true, DEADLINE, "the server has heard of it");
      const before = carried(second(), theirs());
      await carriesOn(connection, 300_000);
      // What a busy machine sends again may go there, all that is on its way: a path that is no backup has half of the whole.
      assert.ok(carried(second(), theirs()) - before < 150_000, `${before} ${carried(second(), theirs())}`);
      const until = carried(second(), theirs());
      await lab.link("eth1").loseCarrier(client);
      await carriesOn(connection);
      assert.ok(carried(second(), theirs()) - until >= 100_000);
      connection.destroy();
      assert.equal(await daemon.end(), 0, daemon.log);
    }),
  );

  kernelTest("limits and endpoints as large as the kernel has them, with either path manager", (context) =>
    inWorld(1, async ({ lab, client }) => {
      const { limitMax = 0, endpointsMax = 0 } = probeFeatures();
      context.diagnostic(`limits up to ${limitMax}, ${endpointsMax} endpoints`);
      assert.ok(limitMax >= 8 && endpointsMax >= 8);
      const attempt = (n: number) => subflow(client, "limits", "set", "subflows", `${n}`);
      // A service that is not root may make no namespace to try it in.
      const { stdout } = await client.exec([...WITHOUT_SYS_ADMIN, process.execPath, SUBFLOW, "-j", "status"]);
      const { kernel } = JSON.parse(stdout) as { kernel: { limit_max?: number; laminar?: boolean } };
      assert.equal(kernel.laminar, undefined, "it was not tried");
      assert.equal(kernel.limit_max ?? 8, limitMax);
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

  kernelTest("what docs/kernels.md says of this one", (context) =>
    inWorld(2, async (world) => {
      const found = await facts(world);
      for (const [what, holds] of Object.entries(found)) context.diagnostic(`${what}: ${holds ? "yes" : "no"}`);
      assert.ok(found["a second subflow"]);
    }),
  );
});

/** Bytes that both ends of a subflow have sent there. */
function carried(...ends: readonly (SubflowInfo | undefined)[]): number {
  return ends.reduce((sum, end) => sum + (end?.bytesSent ?? 0), 0);
}

/** In both directions, and what was sent arrives. */
async function carriesOn({ client, server }: TrafficConnection, bytes = 50_000): Promise<void> {
  const both = [transfer(client, server, bytes), transfer(server, client, bytes)];
  const reports = await within(patience(DEADLINE), Promise.all(both));
  assert.ok(reports.every(({ isIntact }) => isIntact));
}

/** Whether something is so within a while; what an older kernel does not do never is. */
async function comesTrue(holds: () => boolean): Promise<boolean> {
  const until = performance.now() + patience(1000);
  while (!holds() && performance.now() < until) await sleep(20);
  return holds();
}

async function facts({ client, server }: World): Promise<Record<string, boolean>> {
  for (const host of [client, server]) writePathManager("userspace", host.netns);
  writeSysctl("net.mptcp.allow_join_initial_addr_port", "0", server.netns);
  using pm = MptcpPm.open({ netns: client.netns });
  using theirs = MptcpPm.open({ netns: server.netns });
  const events: MptcpEvent[] = [];
  using _ours = pm.watch((event) => events.push(event), assert.fail);
  // Whoever listens makes the server take joins.
  const listened: MptcpEvent[] = [];
  using _theirs = theirs.watch((event) => listened.push(event), assert.fail);
  const service = await server.listen({ address: "0.0.0.0" });
  const connection = await service.connect(client.netns, { to: "10.0.1.2" });
  await transfer(connection.client, connection.server, 1000);
  await transfer(connection.server, connection.client, 1000);
  const [{ token, path } = assert.fail("no connection")] = connectionsOf(client);
  const remote = { address: path.remote.address, port: path.remote.port, id: 0 };
  const second = "10.0.2.1" as Address;
  const isThere = (local: Address) =>
    subflowsOf(client).find(({ path: each, state }) => each.local.address === local && state === "established");
  pm.createSubflow({
    token,
    local: { address: second, id: 2, interfaceIndex: secondLink(client), backup: true },
    remote,
  });
  const hasSecond = await comesTrue(() => isThere(second) !== undefined);
  const isBound = (isThere(second)?.interfaceIndex ?? 0) !== 0;
  const isBackup = isThere(second)?.backupLocal ?? false;
  pm.destroySubflow({ token, path });
  const isGone = await comesTrue(() => isThere(path.local.address) === undefined);
  const again = takes(() =>
    pm.createSubflow({ token, local: { address: path.local.address, id: 0, backup: true }, remote }),
  );
  const isBack = isGone && again && (await comesTrue(() => isThere(path.local.address) !== undefined));
  const isZeroBackup = isThere(path.local.address)?.backupLocal ?? false;
  const created = () => events.find(({ type }) => type === MPTCP_EVENT.CREATED);
  assert.ok(await comesTrue(() => created() !== undefined), "the kernel tells of connections");
  const hearsListeners = await comesTrue(() => listened.some(({ type }) => type === MPTCP_EVENT.LISTENER_CREATED));
  const counted = connectionsOf(client).some(({ bytesSent }) => bytesSent !== undefined);
  connection.destroy();
  return {
    "a second subflow": hasSecond,
    "listener events": hearsListeners,
    "a peer that denies joins is told of": ((created()?.flags ?? 0) & 1) !== 0,
    "a subflow is bound to the interface": isBound,
    "id 0 again": isBack,
    "backup from the first packet": isBackup,
    "backup from the first packet, id 0": isZeroBackup,
    "bytes of a connection": counted,
    "local addresses by token": pm.looksAtTokens,
    path_manager: readSysctl("net.mptcp.path_manager", client.netns) !== undefined,
    close_timeout: readSysctl("net.mptcp.close_timeout", client.netns) !== undefined,
    blackhole_timeout: readSysctl("net.mptcp.blackhole_timeout", client.netns) !== undefined,
  };
}

function takes(ask: () => void): boolean {
  try {
    ask();
    return true;
  } catch (error) {
    assert.ok(error instanceof NetlinkError);
    return false;
  }
}

function secondLink({ netns }: Host): number {
  using rtnl = Rtnl.open({ netns });
  return rtnl.links().find(({ name }) => name === "eth2")?.index ?? 0;
}
