import assert from "node:assert/strict";
import { Socket } from "node:net";
import { ask } from "../../src/control/index.ts";
import { type Host, Lab, transfer } from "../../src/lab/index.ts";
import { loadNative, MptcpPm, withNetns } from "../../src/netlink/index.ts";
import { type Address, AF_INET, ENDPOINT_FLAG } from "../../src/types/index.ts";
import { configFile, DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

const PORT = 5000;
const ADDRESS = "10.0.2.2" as Address;

interface Announcing {
  readonly lab: Lab;
  readonly client: Host;
  readonly server: Host;
  readonly daemon: DaemonProcess;
}

async function announcing(use: (hosts: Announcing) => Promise<void>): Promise<void> {
  await using lab = await Lab.create({
    hosts: { client: {}, server: {} },
    links: [
      { name: "wifi", ends: { client: ["10.0.1.1/24"], server: ["10.0.1.2/24"] } },
      { name: "cell", ends: { client: ["10.0.2.1/24"], server: ["10.0.2.2/24"] } },
    ],
  });
  const [client, server] = [lab.host("client"), lab.host("server")];
  const daemon = await DaemonProcess.start(lab, server, "--path-manager", "userspace", "--no-automatic");
  await use({ lab, client, server, daemon });
  assert.equal(await daemon.end(), 0);
}

const announce = (server: Host) =>
  ask("endpoint.add", { address: ADDRESS, flags: ENDPOINT_FLAG.signal, port: PORT }, { netns: server.netns });

/** What becomes of a connection that is no join: the error's code, or "connected". */
async function plainConnect(client: Host, kind: "tcp" | "mptcp"): Promise<string> {
  if (kind === "tcp") {
    const script = `require("node:net").connect(${PORT}, "${ADDRESS}").on("error", (e) => console.log(e.code)).on("close", () => console.log("end")).resume()`;
    return (await client.exec([process.execPath, "-e", script])).stdout.split("\n")[0] ?? "";
  }
  const native = loadNative();
  const fd = withNetns(client.netns, (namespace) => native.mptcpSocket(AF_INET, namespace));
  native.connect(fd, Uint8Array.of(10, 0, 2, 2), PORT);
  const socket = new Socket({ fd, readable: true, writable: true });
  return await new Promise((resolve) => {
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
    socket.on("end", () => resolve("end"));
    // The first write finds out how the connect ended.
    socket.write("anybody there?");
    socket.resume();
  });
}

/** A connection over wifi, joined at the announced port. */
async function joins(lab: Lab, client: Host, server: Host) {
  using pm = MptcpPm.open({ netns: client.netns });
  pm.setLimits({ subflows: 2, addAddrAccepted: 1 });
  const service = await server.listen({ address: "10.0.1.2" });
  const connection = await service.connect(client.netns);
  assert.ok((await transfer(connection.client, connection.server, 1000)).isIntact);
  await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "the join at the announced port");
  assert.equal(server.counters().MPJoinPortAckRx, 1);
  return connection;
}

kernelTest("an announced port takes joins, and to everything else nobody listens there", () =>
  announcing(async ({ lab, client, server }) => {
    await announce(server);
    assert.equal(await plainConnect(client, "tcp"), "ECONNREFUSED");
    assert.equal(await plainConnect(client, "mptcp"), "ECONNREFUSED");
    assert.equal(server.counters().MPCapableEndpAttempt, 2);
    await joins(lab, client, server);
    await ask("endpoint.flush", {}, { netns: server.netns });
    using pm = MptcpPm.open({ netns: server.netns });
    assert.deepEqual(pm.endpoints(), [], "the kernel's listener is closed");
  }),
);

kernelTest("with the kernel's table full the listener is ours: it takes joins and resets everything else", () =>
  announcing(async ({ lab, client, server }) => {
    using pm = MptcpPm.open({ netns: server.netns });
    for (let host = 1; host <= 8; host++) pm.addEndpoint({ address: `10.9.9.${host}` as Address, flags: 0 });
    await announce(server);
    assert.equal(await plainConnect(client, "tcp"), "ECONNRESET");
    assert.equal(await plainConnect(client, "mptcp"), "ECONNRESET");
    await joins(lab, client, server);
    await ask("endpoint.flush", {}, { netns: server.netns });
    assert.equal(await plainConnect(client, "tcp"), "ECONNREFUSED");
  }),
);

kernelTest("a flush of the kernel's table by somebody else closes the listener, which is opened again", () =>
  announcing(async ({ lab, client, server, daemon }) => {
    using pm = MptcpPm.open({ netns: server.netns });
    const isThere = () => pm.endpoints().some(({ address, port }) => address === ADDRESS && port === PORT);
    await announce(server);
    assert.ok(isThere(), "the listener is the kernel's");
    await server.exec(["ip", "mptcp", "endpoint", "flush"]);
    await daemon.logged(/listener of 10\.0\.2\.2:5000 was closed by somebody else: it is open again/);
    assert.ok(isThere());
    const { client: end } = await joins(lab, client, server);

    pm.flushEndpoints();
    await daemon.logged(/listener of 10\.0\.2\.2:5000 .* cannot be opened again yet: Address already in use/);
    assert.equal(pathsOf(server).length, 2, "the subflow at its port lives on");
    end.socket.resetAndDestroy();
    const opened = () => daemon.log.match(/it is open again/g)?.length;
    await lab.waitFor(() => opened() === 2, DEADLINE, "the listener, once the port is free");
    assert.ok(isThere());
    assert.equal(daemon.log.match(/cannot be opened again/g)?.length, 1, "told once, however often it was tried");
    await ask("endpoint.flush", {}, { netns: server.netns });
    assert.deepEqual(pm.endpoints(), []);
  }),
);

kernelTest("a listener whose address is gone comes back with it, unless its endpoint went meanwhile", () =>
  announcing(async ({ lab, server, daemon }) => {
    using pm = MptcpPm.open({ netns: server.netns });
    await announce(server);
    await server.ip(["address delete 10.0.2.2/24 dev cell"]);
    pm.flushEndpoints();
    await daemon.logged(/listener of 10\.0\.2\.2:5000 .* cannot be opened again yet: Cannot assign requested address/);
    await server.ip(["address add 10.0.2.2/24 dev cell"]);
    await lab.waitFor(() => pm.endpoints().length === 1, DEADLINE, "the listener");
    await server.ip(["address delete 10.0.2.2/24 dev cell"]);
    pm.flushEndpoints();
    await lab.waitFor(() => daemon.log.match(/cannot be opened again/g)?.length === 2, DEADLINE, "lost once more");
    await ask("endpoint.flush", {}, { netns: server.netns });
    await server.ip(["address add 10.0.2.2/24 dev cell"]);
    await announce(server);
    assert.equal(pm.endpoints().length, 1);
  }),
);

kernelTest(
  "a restart closes no listener whose port has subflows: the next daemon has it at once, and new connections join there",
  () =>
    announcing(async ({ lab, client, server, daemon }) => {
      using pm = MptcpPm.open({ netns: server.netns });
      await announce(server);
      const first = await joins(lab, client, server);
      assert.equal(await daemon.end(), 0, daemon.log);
      assert.deepEqual(
        pm.endpoints().map(({ address, port }) => [address, port]),
        [[ADDRESS, PORT]],
        "closed, it could not be opened again as long as the subflow lives",
      );
      const next = await DaemonProcess.start(lab, server, "--path-manager", "userspace", "--no-automatic");
      // What the one before had is the next one's already, unless somebody has taken it away.
      const has = await ask("endpoint.list", {}, { netns: server.netns });
      if (!has.some(({ port }) => port === PORT)) await announce(server);
      const service = await server.listen({ address: "10.0.1.2" });
      const second = await service.connect(client.netns);
      assert.ok((await transfer(second.client, second.server, 1000)).isIntact);
      await lab.waitFor(
        () => server.counters().MPJoinPortAckRx === 2,
        DEADLINE,
        "the second connection's join at the port",
      );
      for (const connection of [first, second]) connection.destroy();
      const known = async () => (await ask("hello", {}, { netns: server.netns })).connections;
      await lab.waitFor(
        async () => (await known()) === 0,
        DEADLINE,
        "the daemon's knowing that the connections are gone",
      );
      assert.equal(await next.end(), 0, next.log);
      assert.deepEqual(pm.endpoints(), [], "a listener that nobody came to is closed");
    }),
);

kernelTest("a configured port that another program has is tried until it is free, and said once", () =>
  announcing(async ({ lab, server, daemon }) => {
    assert.equal(await daemon.end(), 0, daemon.log);
    const other = await server.listen({ address: ADDRESS, port: PORT });
    const config = configFile(`endpoints: [{ address: ${ADDRESS}, flags: [signal], port: ${PORT} }]\n`);
    const words = ["--path-manager", "userspace", "--config", config, "--log-level", "debug"];
    const next = await DaemonProcess.start(lab, server, ...words);
    using pm = MptcpPm.open({ netns: server.netns });
    const refusals = () => next.log.match(/endpoint add 10\.0\.2\.2 port 5000 signal: EADDRINUSE/g)?.length ?? 0;
    await lab.waitFor(() => refusals() >= 3, DEADLINE, "the third try");
    assert.equal(next.log.match(/EADDRINUSE create listen socket error/g)?.length, 1, next.log);
    assert.deepEqual(pm.endpoints(), []);
    other.close();
    await lab.waitFor(
      () => pm.endpoints().some(({ port }) => port === PORT),
      DEADLINE,
      "the listener, once the port is free",
    );
    assert.equal(await next.end(), 0, next.log);
  }),
);
