import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Host, Lab, type TrafficConnection, transfer } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import { configFile, DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

/** A client with so many links to a server; what is the client's comes from an empty configuration. */
interface World {
  readonly lab: Lab;
  readonly client: Host;
  readonly server: Host;
  readonly links: number;
}

type Mode = "kernel" | "userspace" | "none";

const address = (n: number) => `10.0.${n}.1/24`;
const gateway = (n: number) => `route replace default via 10.0.${n}.2 dev eth${n} metric ${n}00`;

async function inWorld(links: number, use: (world: World) => Promise<void>): Promise<void> {
  const all = Array.from({ length: links }, (_, nth) => nth + 1);
  await using lab = await Lab.create({
    hosts: { client: {}, server: {} },
    links: all.map((n) => ({ name: `eth${n}`, ends: { client: [address(n)], server: [`10.0.${n}.2/24`] } })),
  });
  const [client, server] = [lab.host("client"), lab.host("server")];
  await client.ip(all.map(gateway));
  using pm = MptcpPm.open({ netns: server.netns });
  pm.setLimits({ subflows: 8 });
  await use({ lab, client, server, links });
}

/** A connection over the first link, with a subflow from each other. */
async function connected({ lab, client, server, links }: World, mode: Mode): Promise<TrafficConnection> {
  const service = await server.listen({ address: "0.0.0.0" });
  const connection = await service.connect(client.netns, { to: "10.0.1.2" });
  await transfer(connection.client, connection.server, 1000);
  await transfer(connection.server, connection.client, 1000);
  const expected = mode === "none" ? 1 : links;
  await lab.waitFor(() => pathsOf(client).length === expected, DEADLINE, `${expected} subflows`);
  return connection;
}

async function daemonOf({ lab, client }: World, mode: Mode): Promise<DaemonProcess | undefined> {
  return mode === "none" ? undefined : DaemonProcess.start(lab, client, "--path-manager", mode);
}

/** What happens to the links, and how it ends. */
const OUTAGES: Record<string, (world: World, n: number, isOver: boolean) => Promise<void>> = {
  carrier: async ({ lab, client }, n, isOver) =>
    isOver ? backUp(lab, client, n) : lab.link(`eth${n}`).loseCarrier(client),
  "interface down": async ({ lab, client }, n, isOver) =>
    isOver ? backUp(lab, client, n) : lab.link(`eth${n}`).down(client),
  "address gone and back": async ({ client }, n, isOver) =>
    client.ip(
      isOver ? [`address add ${address(n)} dev eth${n}`, gateway(n)] : [`address del ${address(n)} dev eth${n}`],
    ),
  "default route gone and back": async ({ client }, n, isOver) =>
    client.ip([isOver ? gateway(n) : `route del default via 10.0.${n}.2 dev eth${n} metric ${n}00`]),
};

async function backUp(lab: Lab, client: Host, n: number): Promise<void> {
  await lab.link(`eth${n}`).up();
  await client.ip([gateway(n)]);
}

/** Longer than TCP's first retransmissions, shorter than a test's patience. Milliseconds. */
const OUTAGE = 2000;
/** Retransmissions double their distance: what was lost for 2 s may take as long again; 10 s is what a slow machine may add. */
const RETURN_DEADLINE = 14_000;

for (const mode of ["kernel", "userspace"] as const) {
  for (const links of [1, 2]) {
    for (const [what, strike] of Object.entries(OUTAGES)) {
      kernelTest(`${what}, all of ${links} for 2 s, idle and busy: the connection goes on, ${mode} path manager`, () =>
        inWorld(links, async (world) => {
          await daemonOf(world, mode);
          const connection = await connected(world, mode);
          const all = Array.from({ length: links }, (_, nth) => nth + 1);
          for (const isBusy of [false, true]) {
            for (const n of all) await strike(world, n, false);
            const sent = isBusy ? transfer(connection.client, connection.server, 50_000) : undefined;
            await sleep(OUTAGE);
            for (const n of all) await strike(world, n, true);
            await within(RETURN_DEADLINE, sent);
            for (const [from, to] of [
              [connection.client, connection.server],
              [connection.server, connection.client],
            ] as const) {
              assert.ok((await within(RETURN_DEADLINE, transfer(from, to, 50_000)))?.isIntact);
            }
          }
        }),
      );
    }
  }

  kernelTest(`SIGTERM keeps every subflow, and the next start takes over: ${mode} path manager`, () =>
    inWorld(2, async (world) => {
      const { client } = world;
      const connection = await (async () => {
        const daemon = await daemonOf(world, mode);
        const made = await connected(world, mode);
        assert.equal(await daemon?.end(), 0);
        return made;
      })();
      assert.equal(pathsOf(client).length, 2, "after the end");
      assert.ok((await within(RETURN_DEADLINE, transfer(connection.client, connection.server, 100_000)))?.isIntact);
      const before = portsOf(client);
      const next = await daemonOf(world, mode);
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

function portsOf(host: Host): number[] {
  using pm = MptcpPm.open({ netns: host.netns });
  return pm.connections().flatMap(({ subflows }) => subflows.map(({ path }) => path.local.port));
}

async function within<T>(deadline: number, work: Promise<T> | undefined): Promise<T | undefined> {
  if (!work) return undefined;
  const late = new AbortController();
  try {
    return await Promise.race([
      work,
      sleep(deadline, undefined, { signal: late.signal }).then(() => {
        throw new Error(`nothing more has arrived for ${deadline} ms: the connection hangs`);
      }),
    ]);
  } finally {
    late.abort();
  }
}
