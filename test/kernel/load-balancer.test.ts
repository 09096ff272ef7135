import assert from "node:assert/strict";
import { type Host, Lab, type Topology, transfer } from "../../src/lab/index.ts";
import { configFile, DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import { peerTest } from "./support.ts";

// docs/start.md, "Server behind a load balancer", as it is written there.

const NFT = "/usr/sbin/nft";
const BALANCED = "192.0.2.1";
const SERVERS = ["one", "two"] as const;
const DIRECT = ["203.0.113.1", "203.0.113.9"] as const;

/** A client with two uplinks; a router that is the balancer too; two servers with an address behind it and one of their own. */
const TOPOLOGY: Topology = {
  hosts: {
    client: {
      sourceRoutes: true,
      routes: ["default via 10.0.1.254 dev wifi metric 100", "default via 10.0.2.254 dev cellular metric 200"],
    },
    edge: { sysctls: { "net.ipv4.ip_forward": 1 } },
    one: {
      sourceRoutes: true,
      routes: ["default via 10.1.1.254 dev front1 metric 100", "default via 203.0.113.6 dev direct1 metric 200"],
    },
    two: {
      sourceRoutes: true,
      routes: ["default via 10.1.2.254 dev front2 metric 100", "default via 203.0.113.14 dev direct2 metric 200"],
    },
  },
  links: [
    { name: "wifi", ends: { client: ["10.0.1.1/24"], edge: ["10.0.1.254/24"] } },
    { name: "cellular", ends: { client: ["10.0.2.1/24"], edge: ["10.0.2.254/24"] } },
    { name: "front1", ends: { one: ["10.1.1.1/24"], edge: ["10.1.1.254/24"] } },
    { name: "front2", ends: { two: ["10.1.2.1/24"], edge: ["10.1.2.254/24"] } },
    { name: "direct1", ends: { one: ["203.0.113.1/29"], edge: ["203.0.113.6/29"] } },
    { name: "direct2", ends: { two: ["203.0.113.9/29"], edge: ["203.0.113.14/29"] } },
  ],
};

const SERVER = `
profile: server
behind_load_balancer: true
interfaces:
  - { name: "front*", role: "off" }
  - { name: "direct*", role: signal }
`;

/** Connections to the balanced address are led to the servers in turn. */
async function balance(edge: Host): Promise<void> {
  for (const line of [
    "add table ip balancer",
    "add chain ip balancer prerouting { type nat hook prerouting priority dstnat; }",
    `add rule ip balancer prerouting ip daddr ${BALANCED} tcp dport 5000 dnat to numgen inc mod 2 map { 0 : 10.1.1.1, 1 : 10.1.2.1 }`,
  ]) {
    await edge.exec([NFT, line]);
  }
}

peerTest(
  "behind a load balancer: every join reaches the connection's own server, and outlives an uplink",
  NFT,
  async () => {
    await using lab = await Lab.create(TOPOLOGY);
    const client = lab.host("client");
    const servers = SERVERS.map((name) => lab.host(name));
    await balance(lab.host("edge"));
    const config = configFile(SERVER);
    const daemons = await Promise.all([
      ...servers.map((server) => DaemonProcess.start(lab, server, "--config", config)),
      DaemonProcess.start(lab, client),
    ]);
    for (const [nth, server] of servers.entries()) {
      const service = await server.listen({ address: "0.0.0.0", port: 5000 });
      const connection = await service.connect(client.netns, { to: BALANCED });
      await transfer(connection.client, connection.server, 1000);
      const own = [`10.0.1.1>${BALANCED}`, `10.0.1.1>${DIRECT[nth]}`, `10.0.2.1>${DIRECT[nth]}`];
      await lab.waitFor(
        () => own.every((path) => pathsOf(client).includes(path)),
        DEADLINE,
        () => `${pathsOf(client)}`,
      );
      await client.ip(["link set wifi down"]);
      assert.ok((await transfer(connection.client, connection.server, 100_000)).isIntact);
      await client.ip(["link set wifi up", "route replace default via 10.0.1.254 dev wifi metric 100"]);
      await lab.waitFor(
        () => pathsOf(client).includes(`10.0.1.1>${DIRECT[nth]}`),
        DEADLINE,
        "the first uplink in use again",
      );
      connection.destroy();
      service.close();
      await lab.waitFor(() => pathsOf(client).length === 0, DEADLINE, "the connection to be gone");
    }
    for (const server of servers)
      assert.equal(server.counters().MPJoinNoTokenFound ?? 0, 0, `${server.name}: a join of another's`);
    for (const daemon of daemons) assert.equal(await daemon.end(), 0);
  },
);
