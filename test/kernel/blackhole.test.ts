import assert from "node:assert/strict";
import { type Host, Lab, transfer } from "../../src/lab/index.ts";
import { readCounters } from "../../src/netlink/index.ts";
import { configFile, DaemonProcess, DEADLINE } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

/** Two networks to one server; the first drops SYNs with the MPTCP option, as some middleboxes do. */
async function twoNetworks(): Promise<Lab> {
  const link = (name: string, n: number) => ({
    name,
    ends: { client: [`10.0.${n}.1/24`], server: [`10.0.${n}.2/24`] },
  });
  return Lab.create({
    hosts: {
      client: {
        sysctls: { "net.mptcp.syn_retrans_before_tcp_fallback": 0 },
        routes: ["default via 10.0.1.2 dev eth1 metric 100", "default via 10.0.2.2 dev eth2 metric 200"],
      },
      server: {},
    },
    links: [link("eth1", 1), link("eth2", 2)],
  });
}

const counter = (host: Host, name: string): number => readCounters(host.netns)[name] ?? 0;

kernelTest("a network that drops MPTCP is not held against the next one", async () => {
  await using lab = await twoNetworks();
  const [client, server] = [lab.host("client"), lab.host("server")];
  await server.exec(["nft", "add table inet eater"]);
  await server.exec(["nft", "add chain inet eater in { type filter hook input priority 0; }"]);
  await server.exec(["nft", "add rule inet eater in iifname eth1 tcp flags syn tcp option 30 exists drop"]);
  const daemon = await DaemonProcess.start(lab, client, "--config", configFile(""));
  const service = await server.listen({ address: "0.0.0.0" });
  const asked = async (to: string): Promise<number> => {
    const before = counter(client, "MPCapableSYNTX");
    const connection = await service.connect(client.netns, { to });
    await transfer(connection.client, connection.server, 100);
    connection.destroy();
    return counter(client, "MPCapableSYNTX") - before;
  };
  await asked("10.0.1.2");
  assert.equal(counter(client, "Blackhole"), 1, "the kernel has found out");
  assert.equal(await asked("10.0.2.2"), 0, "and does not try any more, wherever to");
  await client.ip(["route del default via 10.0.1.2 dev eth1 metric 100"]);
  await daemon.logged(/another network: MPTCP is tried again/);
  await lab.waitFor(async () => (await asked("10.0.2.2")) === 1, DEADLINE, "MPTCP in the other network");
});
