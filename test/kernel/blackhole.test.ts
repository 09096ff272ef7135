import assert from "node:assert/strict";
import { type Host, transfer } from "../../src/lab/index.ts";
import { readCounters } from "../../src/netlink/index.ts";
import { configFile, DaemonProcess, DEADLINE } from "./daemon-support.ts";
import { nft } from "./doctor-support.ts";
import { inWorld } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

const counter = (host: Host, name: string): number => readCounters(host.netns)[name] ?? 0;

kernelTest("a network that drops MPTCP is not held against the next one", () =>
  inWorld(2, async ({ lab, client, server }) => {
    client.sysctl("net.mptcp.syn_retrans_before_tcp_fallback", 0);
    // As some middleboxes do.
    await nft(server, "iifname eth1 tcp flags syn tcp option mptcp exists drop");
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
  }),
);
