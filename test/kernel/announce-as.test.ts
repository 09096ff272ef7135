import assert from "node:assert/strict";
import { Lab, transfer } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import { configFile, DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

const FORWARDS = { "net.ipv4.ip_forward": 1 };
/** What the NAT forwards to the server's second address. */
const OUTSIDE = "203.0.113.7";

/** A server whose first link is public, and whose second is behind a NAT; a bare client, which knows nothing of either. */
async function behindNat(): Promise<Lab> {
  const lab = await Lab.create({
    hosts: {
      client: { routes: ["default via 192.0.2.2 dev c"] },
      nat: { sysctls: FORWARDS },
      server: {
        routes: ["default via 198.51.100.2 dev public metric 100", "default via 10.0.2.2 dev private metric 200"],
      },
    },
    links: [
      { name: "c", ends: { client: ["192.0.2.1/24"], nat: ["192.0.2.2/24"] } },
      { name: "public", ends: { server: ["198.51.100.1/24"], nat: ["198.51.100.2/24"] } },
      { name: "private", ends: { server: ["10.0.2.1/24"], nat: ["10.0.2.2/24"] } },
    ],
  });
  const nat = lab.host("nat");
  await nat.exec(["nft", "add table ip nat"]);
  await nat.exec(["nft", "add chain ip nat in { type nat hook prerouting priority -100; }"]);
  await nat.exec(["nft", `add rule ip nat in ip daddr ${OUTSIDE} dnat to 10.0.2.1`]);
  return lab;
}

for (const pathManager of ["userspace", "kernel"] as const) {
  kernelTest(
    `an address behind a NAT is announced as what the NAT forwards to it: ${pathManager} path manager`,
    async () => {
      await using lab = await behindNat();
      const [client, server] = [lab.host("client"), lab.host("server")];
      using pm = MptcpPm.open({ netns: client.netns });
      pm.setLimits({ subflows: 4, addAddrAccepted: 4 });
      const rules = `profile: server\ninterfaces:\n  - { name: private, role: signal, announce_as: ${OUTSIDE} }\n`;
      await DaemonProcess.start(lab, server, "--path-manager", pathManager, "--config", configFile(rules));
      const service = await server.listen({ address: "0.0.0.0" });
      const connection = await service.connect(client.netns, { to: "198.51.100.1" });
      assert.ok((await transfer(connection.client, connection.server, 1000)).isIntact);
      const expected = ["192.0.2.1>198.51.100.1", `192.0.2.1>${OUTSIDE}`].join();
      await lab.waitFor(() => pathsOf(client).join() === expected, DEADLINE, expected);
      // The public link is lost: all goes by the other.
      await lab.link("public").blackhole(true);
      assert.ok((await transfer(connection.client, connection.server, 50_000)).isIntact);
      assert.ok((await transfer(connection.server, connection.client, 50_000)).isIntact);
    },
  );
}
