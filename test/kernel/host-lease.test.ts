import assert from "node:assert/strict";
import { hostConfig, loadConfig } from "../../src/config/index.ts";
import { type TrafficConnection, transfer } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import { MPTCP_EVENT } from "../../src/types/index.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import {
  ALL,
  becomes,
  defaultRoute,
  difference,
  endpointIds,
  endpoints,
  type PathManager,
  sourceRoutes,
  type ThreeLinks,
  threeLinks,
  WITHOUT_2,
} from "./host-support.ts";
import { kernelTest } from "./support.ts";

// What is looked at here comes after the warm-up, or before its end.
delete process.env.SUBFLOW_WARM_UP;

const PATH_MANAGERS = ["kernel", "userspace"] as const;
/** A client's endpoints are bound to their devices and need no rules; here they get them all the same. */
const CONFIG = { client: "routing: always\n", server: "profile: server\n" };
type Profile = keyof typeof CONFIG;

/** A host that a daemon follows, with a connection that uses every path. */
interface Life extends ThreeLinks {
  readonly profile: Profile;
  readonly pathManager: PathManager;
  readonly config: string;
  readonly daemon: DaemonProcess;
  readonly connection: TrafficConnection;
  /** Local addresses of the subflows that were closed. */
  readonly closed: readonly string[];
}

async function living(
  { profile, pathManager }: Pick<Life, "profile" | "pathManager">,
  before: (world: ThreeLinks) => Promise<unknown>,
  use: (life: Life) => Promise<void>,
): Promise<void> {
  await threeLinks(async (world) => {
    const { lab, host, hub } = world;
    await before(world);
    using hubPm = MptcpPm.open({ netns: hub.netns });
    hubPm.setLimits({ subflows: 8, addAddrAccepted: 8 });
    const config = configFile(CONFIG[profile]);
    const daemon = await DaemonProcess.start(lab, host, "--path-manager", pathManager, "--config", config);
    // It says so whenever it is done, also between the deeds that are counted here.
    await daemon.logged(/warmed up/);
    const [client, server, to] = profile === "client" ? [host, hub, "10.0.1.2"] : [hub, host, "10.0.1.1"];
    const service = await server.listen({ address: "0.0.0.0" });
    const connection = await service.connect(client.netns, { to });
    await transfer(connection.client, connection.server, 100);
    await transfer(connection.server, connection.client, 100);
    using pm = MptcpPm.open({ netns: host.netns });
    const closed: string[] = [];
    const watch = pm.watch(
      ({ type, localAddress }) => type === MPTCP_EVENT.SUB_CLOSED && closed.push(localAddress ?? "?"),
      () => assert.fail("events were lost"),
    );
    try {
      await use({ ...world, profile, pathManager, config, daemon, connection, closed });
      assert.ok((await transfer(connection.server, connection.client, 100_000)).isIntact);
    } finally {
      watch.close();
    }
    // What a connection lives by would stay.
    connection.destroy();
    await lab.waitFor(() => pathsOf(host).length === 0, DEADLINE, "the end of the connection");
    assert.equal(await daemon.end(), 0);
    assert.deepEqual(await endpoints(host), []);
    assert.deepEqual(sourceRoutes(host), []);
  });
}

/** Waits until each of these addresses, and no other, has an endpoint and a subflow, and until nothing is left to do. */
async function carries({ lab, host, pathManager, config }: Life, wanted: readonly string[], what: string) {
  await becomes(lab, host, wanted, what, pathManager);
  const addresses = wanted.map((each) => each.split(" ")[0]).join();
  const local = (): string =>
    pathsOf(host)
      .map((path) => path.split(">")[0])
      .join();
  await lab.waitFor(() => local() === addresses, DEADLINE, `${what}: subflows from ${addresses}, not ${local()}`);
  const isDone = async () =>
    (await difference(host, hostConfig(loadConfig(config).config, pathManager), pathManager)).length === 0;
  await lab.waitFor(isDone, DEADLINE, `${what}: the tables equal the plan`);
}

/** What must not change while a live path stays: ids of endpoints, and the subflows themselves. */
async function lasting({ host, pathManager }: Life, ...addresses: string[]) {
  const ids = await endpointIds(host, pathManager);
  const subflows = connectionsOf(host).flatMap((connection) => connection.subflows.map(({ path }) => path.local));
  return addresses.map((address) => ({
    address,
    id: ids[address],
    ports: subflows.filter((local) => local.address === address).map(({ port }) => port),
  }));
}

/** What the daemon did since the last mark, when it has seen all that happened: a route that it copies marks where it is. */
async function deeds({ host, daemon }: Life): Promise<string> {
  const past = daemon.log.match(/route add 192\.0\.2\./g)?.length ?? 0;
  const markOf = (n: number): string => `route add 192.0.2.${n}/32 `;
  await host.ip([`${markOf(past + 1)} via 10.0.3.2 dev eth3`]);
  await daemon.logged(new RegExp(`${markOf(past + 1)}.*\n`));
  const lines = daemon.log.split("\n");
  const lineOf = (n: number): number => lines.findIndex((line) => line.includes(markOf(n)));
  return lines.slice(lineOf(past) + 1, lineOf(past + 1)).join("\n");
}

/** What a DHCP client does with a lease; the kernel takes the address away when it is over. */
const lease = (n: number, address: string, gateway: string, seconds = 600): string[] => [
  `address replace ${address}/24 dev eth${n} valid_lft ${seconds} preferred_lft ${seconds}`,
  `route replace default via ${gateway} dev eth${n} proto dhcp metric ${n}00 src ${address}`,
];
const FIRST = lease(1, "10.0.1.1", "10.0.1.2");
const SECOND = lease(2, "10.0.2.1", "10.0.2.2");
const routeOf = (n: number, address = `10.0.${n}.1`, gateway = `10.0.${n}.2`): string =>
  `${address} via ${gateway} dev eth${n}`;

const CHANGES = {
  "the old address first": { steps: ["address del 10.0.2.1/24 dev eth2", ...lease(2, "10.0.2.9", "10.0.2.254")] },
  // With the kernel's default the first address of a subnet takes the others with it.
  "the new address first": {
    promote: 1,
    steps: [...lease(2, "10.0.2.9", "10.0.2.254"), "address del 10.0.2.1/24 dev eth2"],
  },
};

for (const pathManager of PATH_MANAGERS) {
  for (const [order, { steps, ...sysctl }] of Object.entries(CHANGES)) {
    kernelTest(`a lease comes, is renewed, changes (${order}), and expires: ${pathManager} path manager`, () =>
      living(
        { profile: "client", pathManager },
        async ({ host, hub }) => {
          host.sysctl("net.ipv4.conf.eth2.promote_secondaries", "promote" in sysctl ? 1 : 0);
          await host.ip([...FIRST, "address flush dev eth2"]);
          await hub.ip(["address add 10.0.2.254/24 dev eth2"]);
        },
        async (life) => {
          const { lab, host, closed } = life;
          await carries(life, WITHOUT_2, "before the lease");
          await host.ip(SECOND);
          await carries(life, ALL, "the lease");
          assert.deepEqual(
            sourceRoutes(host),
            [1, 2, 3].map((n) => routeOf(n)),
          );

          const before = await lasting(life, "10.0.1.1", "10.0.2.1", "10.0.3.1");
          await deeds(life);
          await host.ip([...FIRST, ...SECOND]);
          assert.equal(await deeds(life), "", "a renewal is no change");
          assert.deepEqual(await lasting(life, "10.0.1.1", "10.0.2.1", "10.0.3.1"), before);
          assert.deepEqual(closed, []);

          const others = await lasting(life, "10.0.1.1", "10.0.3.1");
          await host.ip(steps);
          await carries(life, ["10.0.1.1 eth1", "10.0.2.9 eth2", "10.0.3.1 eth3"], "another address");
          assert.deepEqual(sourceRoutes(host), [routeOf(1), routeOf(2, "10.0.2.9", "10.0.2.254"), routeOf(3)]);

          await host.ip(lease(2, "10.0.2.9", "10.0.2.254", 1));
          await carries(life, WITHOUT_2, "expired");
          assert.deepEqual(sourceRoutes(host), [routeOf(1), routeOf(3)]);
          await lab.waitFor(() => closed.length >= 2, DEADLINE, "the word of both closed subflows");
          assert.deepEqual(closed, ["10.0.2.1", "10.0.2.9"]);
          assert.deepEqual(await lasting(life, "10.0.1.1", "10.0.3.1"), others);
        },
      ),
    );
  }
}

/** Rules of a server: not for the interface that the main table prefers anyway. */
const RULES = {
  client: { eth1: [1, 2, 3], eth2: [1, 2, 3] },
  server: { eth1: [2, 3], eth2: [1, 3] },
};

for (const pathManager of PATH_MANAGERS) {
  for (const profile of ["client", "server"] as const) {
    kernelTest(`another interface is preferred and live subflows stay: ${profile}, ${pathManager} path manager`, () =>
      living(
        { profile, pathManager },
        async () => {},
        async (life) => {
          const { lab, host, closed } = life;
          await carries(life, ALL, "at start");
          const before = await lasting(life, "10.0.1.1", "10.0.2.1", "10.0.3.1");
          await deeds(life);
          const moves = [
            ["eth1", "at start", []],
            ["eth2", "the first one's metric is raised", ["add metric 900", "del metric 100"]],
            ["eth1", "and lowered again", ["add metric 100", "del metric 900"]],
          ] as const;
          for (const [preferred, what, steps] of moves) {
            // Network managers add the new route before they delete the old one.
            await host.ip(steps.map((step) => `route ${step.replace(" ", " default via 10.0.1.2 dev eth1 ")}`));
            const wanted = RULES[profile][preferred].map((n) => routeOf(n));
            await lab.waitFor(() => sourceRoutes(host).join() === wanted.join(), DEADLINE, `${what}: ${wanted}`);
            await carries(life, ALL, what);
          }
          assert.doesNotMatch(await deeds(life), /endpoint/);
          assert.deepEqual(await lasting(life, "10.0.1.1", "10.0.2.1", "10.0.3.1"), before);
          assert.deepEqual(closed, []);
        },
      ),
    );
  }

  for (const n of [1, 2]) {
    kernelTest(`the route of eth${n} goes and comes back, its address stays: ${pathManager} path manager`, () =>
      living(
        { profile: "client", pathManager },
        async () => {},
        async (life) => {
          const { host, closed } = life;
          await carries(life, ALL, "at start");
          const others = [1, 2, 3].filter((each) => each !== n);
          const before = await lasting(life, ...others.map((each) => `10.0.${each}.1`));
          await host.ip([`route del default dev eth${n}`]);
          await carries(
            life,
            others.map((each) => ALL[each - 1]!),
            "without the route",
          );
          assert.deepEqual(
            sourceRoutes(host),
            others.map((each) => routeOf(each)),
          );
          const { stdout } = await host.exec(["ip", "-o", "address", "show", "dev", `eth${n}`]);
          assert.ok(stdout.includes(`10.0.${n}.1/24`), stdout);
          await host.ip([defaultRoute(n)]);
          await carries(life, ALL, "with the route again");
          assert.deepEqual(
            sourceRoutes(host),
            [1, 2, 3].map((each) => routeOf(each)),
          );
          assert.deepEqual(await lasting(life, ...others.map((each) => `10.0.${each}.1`)), before);
          assert.deepEqual(closed, [`10.0.${n}.1`]);
        },
      ),
    );
  }
}
