import assert from "node:assert/strict";
import { connectionsOf, DaemonProcess, subflow } from "./daemon-support.ts";
import { connected, counted, healthyLab } from "./doctor-support.ts";
import { kernelTest } from "./support.ts";

/** The answer to `why` of the one connection of the client. */
async function whyOf(token: number, host: Parameters<typeof subflow>[0]): Promise<string> {
  const { status, stdout, stderr } = subflow(host, "why", token.toString(16));
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(stdout, /Nothing is left out/);
  return stdout;
}

kernelTest("why: a connection that fell back, one without a subflow, and one that nobody manages", async () => {
  await using lab = await healthyLab();
  const [client, server] = [lab.host("client"), lab.host("server")];
  await server.exec(["nft", "-f", "-"], {
    input:
      "add table inet why\nadd chain inet why out { type filter hook output priority -150; }\n" +
      "add rule inet why out oifname wifi tcp flags & syn == 0 reset tcp option mptcp\n",
  });
  const fallen = await connected(lab);
  await counted(lab, "client", "MPCapableDataFallback");
  const [first] = connectionsOf(client);
  assert.match(await whyOf(first!.token, client), /This connection fell back to plain TCP\./);
  assert.match(subflow(client, "why").stdout, /This connection fell back/, "it is the only one");
  fallen.destroy();
  await server.exec(["nft", "delete", "table", "inet", "why"]);
  await lab.waitFor(() => connectionsOf(client).length === 0, 10_000, "its end");

  const lost = await connected(lab);
  const [second] = connectionsOf(client);
  await client.ip(["mptcp endpoint flush"]);
  await client.exec(["ss", "-K", "src", "10.0.1.1"]);
  await lab.waitFor(() => connectionsOf(client)[0]?.subflows.length === 0, 10_000, "the loss of every subflow");
  assert.match(await whyOf(second!.token, client), /This connection has no subflow left\./);
  lost.destroy();
  await lab.waitFor(() => !connectionsOf(client).some(({ token }) => token === second!.token), 70_000, "its end");

  client.sysctl("net.mptcp.pm_type", 1);
  await connected(lab);
  const third = connectionsOf(client).find(({ pathManager }) => pathManager === "userspace");
  assert.match(await whyOf(third!.token, client), /and no Subflow daemon answers here\./);
  client.sysctl("net.mptcp.pm_type", 0);
  await DaemonProcess.start(lab, client, "--path-manager", "kernel");
  assert.match(await whyOf(third!.token, client), /the Subflow daemon here looks after the in-kernel one\./);
});
