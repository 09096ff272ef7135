import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { lifelinesOf } from "../../src/host/index.ts";
import { type Host, type TrafficConnection, transfer } from "../../src/lab/index.ts";
import { listLivesBySubflows } from "../../src/netlink/connections.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import type { Address, ConnectionLife } from "../../src/types/index.ts";
import { connectionsOf, DaemonProcess, DEADLINE, KERNEL, pathsOf } from "./daemon-support.ts";
import { inWorld, returnDeadline, type World, within } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

/** Who takes MPTCP's options out of what, from the handshake on or once data have passed both ways. */
interface Fall {
  readonly by: "client" | "server";
  readonly of: string;
  readonly late?: true;
  /** At which end the deletion of the endpoint closes the connection (measured on Linux 6.18). */
  readonly harms: readonly ("client" | "server")[];
}

const NO_SYN = "tcp flags & syn == 0";
const FALLS: Readonly<Record<string, Fall>> = {
  "none of them": { by: "client", of: "tcp dport 1", harms: ["client", "server"] },
  "in the SYN": { by: "client", of: "tcp flags & (syn | ack) == syn", harms: [] },
  "in the SYN/ACK": { by: "server", of: "tcp flags & (syn | ack) == (syn | ack)", harms: [] },
  "in what the client says first": { by: "client", of: NO_SYN, harms: [] },
  // The server has not noticed yet, and would fall back with its next word.
  "in what the server says first": { by: "server", of: NO_SYN, harms: ["server"] },
  "in what the client says later": { by: "client", of: NO_SYN, late: true, harms: ["client", "server"] },
  "in what the server says later": { by: "server", of: NO_SYN, late: true, harms: ["client", "server"] },
};

const ADDRESS = { client: "10.0.1.1", server: "10.0.1.2" } as const;
const ENDPOINT = 7;

/** First what `first` says: where its options are lost, the other end falls back with the first word of it, and it with the answer. */
async function bothWays({ client, server }: TrafficConnection, first: Fall["by"] = "client"): Promise<void> {
  const [one, other] = first === "client" ? [client, server] : [server, client];
  assert.ok((await within(DEADLINE, transfer(one, other, 1000))).isIntact);
  assert.ok((await within(DEADLINE, transfer(other, one, 1000))).isIntact);
}

async function fallen({ client, server }: World, { by, of, late }: Fall): Promise<TrafficConnection> {
  const chain = "add chain inet fall out { type filter hook output priority -150; }";
  const input = `add table inet fall\n${chain}\nadd rule inet fall out oifname eth1 ${of} reset tcp option mptcp\n`;
  const fall = () => (by === "client" ? client : server).exec(["nft", "-f", "-"], { input });
  const service = await server.listen({ address: "0.0.0.0" });
  if (!late) await fall();
  const connection = await service.connect(client.netns, { to: ADDRESS.server });
  await bothWays(connection);
  if (late) {
    await fall();
    await bothWays(connection, by);
  }
  return connection;
}

const livesBy = (lives: readonly ConnectionLife[], address: string): boolean =>
  lifelinesOf(lives).some((lifeline) => lifeline.has(address as Address));

/** Deletes the endpoint as anybody may. @returns whether that closed a subflow */
async function closes(host: Host): Promise<boolean> {
  await host.ip([`mptcp endpoint delete id ${ENDPOINT}`]);
  return host.counters().RmSubflow === 1;
}

for (const [name, fall] of Object.entries(FALLS)) {
  for (const end of ["client", "server"] as const) {
    kernelTest(`whom the end of an endpoint harms is seen before: options lost ${name}, at the ${end}`, () =>
      inWorld(1, async (world) => {
        const host = world[end];
        await host.ip([`mptcp endpoint add ${ADDRESS[end]} id ${ENDPOINT} ${end === "client" ? "subflow" : "signal"}`]);
        const connection = await fallen(world, fall);
        using pm = MptcpPm.open({ netns: host.netns });
        const isSeen = livesBy(pm.lives(), ADDRESS[end]);
        const isSeenInTcp = livesBy(listLivesBySubflows(host.netns), ADDRESS[end]);
        const isHarmed = await closes(host);
        assert.equal(isHarmed, fall.harms.includes(end), "what the kernel does");
        assert.equal(isSeenInTcp, isHarmed, "by TCP's part of sock_diag alone");
        // Whoever fell back with the first data is spared without need: the MPTCP socket does not tell.
        assert.ok(isSeen || !isHarmed, "by both parts");
        // Whose peer has not noticed yet is reset, deletion or not, if that one's data are not confirmed when it does.
        if (fall.harms.length === 0) await bothWays(connection);
      }),
    );
  }
}

kernelTest("a connection that fell back lives through the loss of its only link, with the in-kernel path manager", () =>
  inWorld(1, async (world) => {
    const { lab, client } = world;
    const daemon = await DaemonProcess.start(lab, client, ...KERNEL);
    const connection = await fallen(world, FALLS["in what the client says later"]!);
    assert.deepEqual(
      connectionsOf(client).map(({ fallback }) => fallback),
      [true],
    );
    await lab.link("eth1").loseCarrier(client);
    await daemon.logged(/endpoint 10\.0\.1\.1 stays for now: a connection has no other subflow that works/);
    await sleep(500);
    await lab.link("eth1").up();
    await within(returnDeadline(500), bothWays(connection));
    assert.deepEqual(pathsOf(client), ["10.0.1.1>10.0.1.2"]);
  }),
);

kernelTest("where the kernel cannot list MPTCP sockets, connections are kept all the same, and the daemon too", () =>
  inWorld(2, async (world) => {
    const { lab, client, server } = world;
    const daemon = await DaemonProcess.launchScript(lab, client, "no-mptcp-diag-child.js").ready();
    const service = await server.listen({ address: "0.0.0.0" });
    const connection = await service.connect(client.netns, { to: ADDRESS.server });
    await bothWays(connection);
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "the second subflow");
    for (const name of ["eth1", "eth2"]) await lab.link(name).loseCarrier(client);
    await daemon.logged(/stays for now: a connection has no other subflow that works/);
    await sleep(500);
    for (const name of ["eth1", "eth2"]) await lab.link(name).up();
    await within(returnDeadline(500), bothWays(connection));
    assert.equal(await daemon.end(), 0);
    await within(returnDeadline(500), bothWays(connection));
    assert.doesNotMatch(daemon.log, /cannot list MPTCP sockets/);
  }),
);
