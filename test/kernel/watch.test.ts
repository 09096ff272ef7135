import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { Client, type WatchedConnection, type Watching } from "../../src/client/index.ts";
import { ask, runtimeFiles } from "../../src/control/index.ts";
import { type Host, Lab, transfer } from "../../src/lab/index.ts";
import { Client as RawClient, request } from "../control/support.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import { HEALTHY } from "./doctor-support.ts";
import { kernelTest } from "./support.ts";

/** A user that nobody is. */
const STRANGER = 54_321;

async function connected(lab: Lab) {
  const service = await lab.host("server").listen({ address: "0.0.0.0" });
  const connection = await service.connect(lab.host("client").netns, { to: "10.0.1.2", from: "10.0.1.1" });
  await transfer(connection.client, connection.server, 1000);
  return { connection, service };
}

/** What a reader was told, in its order. */
class Told implements Disposable {
  readonly watching: Watching;
  readonly types: string[] = [];

  constructor(host: Host, pace?: number) {
    this.watching = new Client({ netns: host.netns }).watch({ pace });
    this.watching.on("change", (change) => {
      if (change.type === "event") this.types.push(change.event.type);
      else if (change.type === "decision") this.types.push(change.decision.type);
      else if (change.type !== "complete" || !this.types.includes("complete")) this.types.push(change.type);
    });
  }

  [Symbol.dispose](): void {
    this.watching.close();
  }

  get only(): WatchedConnection | undefined {
    return [...this.watching.connections.values()][0];
  }

  paths(): string[] {
    const established = this.only?.subflows.filter(({ state }) => state === "established") ?? [];
    return established.map(({ path }) => `${path.local.address}>${path.remote.address}`).sort();
  }
}

for (const manager of ["userspace", "kernel"] as const) {
  kernelTest(`watch: what a reader is told is what the kernel has; ${manager} path manager`, async () => {
    await using lab = await Lab.create(HEALTHY);
    const client = lab.host("client");
    await DaemonProcess.start(lab, client, "--path-manager", manager);
    using early = new Told(client, 200);
    await lab.waitFor(() => early.types.includes("complete"), DEADLINE, "the daemon");
    const { connection } = await connected(lab);
    await lab.waitFor(() => early.paths().length === 2, DEADLINE, "both subflows");
    assert.deepEqual(early.paths(), pathsOf(client));
    assert.equal(early.only?.pathManager, manager);
    assert.equal(early.only?.policy, manager === "userspace" ? "resilient" : undefined);
    assert.equal(early.only?.side, "client");
    assert.ok(early.types.includes("connection.established") && early.types.includes("subflow.established"));
    if (manager === "userspace") {
      const [led, decided] = [early.types.indexOf("connection.established"), early.types.indexOf("subflow.create")];
      assert.ok(led >= 0 && decided > led, early.types.join());
    }
    // A rate is that of the moment: data move until one was told.
    let isOver = false;
    const moving = (async () => {
      do await transfer(connection.client, connection.server, 3_000_000);
      while (!isOver);
    })();
    await lab
      .waitFor(() => (early.only?.sendRate ?? 0) > 0, DEADLINE, "a rate")
      .finally(() => {
        isOver = true;
      });
    await moving;
    await lab.waitFor(() => (early.only?.bytesSent ?? 0) >= 3_000_000, DEADLINE, "the bytes");
    const rtts = early.only!.subflows.map(({ rtt }) => rtt);
    assert.ok(
      rtts.every((rtt) => rtt > 0 && rtt < 1000),
      rtts.join(),
    );

    using late = new Told(client);
    await lab.waitFor(() => late.paths().length === 2, DEADLINE, "the state, for who comes later");
    assert.equal(late.types.includes("connection.established"), false, "what was before is state to it");
    await client.ip(["link set cellular down"]);
    await lab.waitFor(() => early.paths().length === 1 && late.paths().length === 1, DEADLINE, "the loss");
    assert.ok(late.types.includes("subflow.closed"));
    connection.destroy();
    await lab.waitFor(() => early.watching.connections.size === 0, 70_000, "its end");
    assert.ok(early.types.includes("gone") && early.types.includes("connection.closed"));
  });
}

kernelTest("watch: a reader outlives the daemon, and is told the state of the next one", async () => {
  await using lab = await Lab.create(HEALTHY);
  const client = lab.host("client");
  const first = await DaemonProcess.start(lab, client, "--path-manager", "userspace");
  await connected(lab);
  using told = new Told(client);
  await lab.waitFor(() => told.paths().length === 2, DEADLINE, "the state");
  await first.end("SIGKILL");
  await lab.waitFor(() => told.types.includes("disconnected"), DEADLINE, "the end");
  assert.equal(told.paths().length, 2, "what is known is how it was");
  await connected(lab);
  await DaemonProcess.start(lab, client, "--path-manager", "userspace");
  await lab.waitFor(() => told.watching.connections.size === 2, DEADLINE, "both connections");
});

/** A connection of somebody who is not root, from a process of theirs. */
function strangersConnection(host: Host, port: number): ReturnType<Host["spawn"]> {
  const folder = dirname(configFile(""));
  const addon = join(folder, "addon.node");
  copyFileSync(
    join(import.meta.dirname, "..", "..", "..", "prebuilds", `linux-${process.arch}`, "subflow.node"),
    addon,
  );
  chmodSync(addon, 0o644);
  const script = `const m = { exports: {} }; process.dlopen(m, ${JSON.stringify(addon)}); const n = m.exports;
    const fd = n.mptcpSocket(2, -1); n.connect(fd, Uint8Array.of(10, 0, 1, 2), ${port});
    new (require("net").Socket)({ fd }).write("x"); setInterval(() => {}, 1000);`;
  const as = ["setpriv", `--reuid=${STRANGER}`, `--regid=${STRANGER}`, "--clear-groups"];
  return host.spawn([...as, process.execPath, "-e", script], { stdio: ["ignore", "ignore", "inherit"] });
}

/** Connects to a socket as that user: the kernel says so to whoever accepts. */
function asStranger<T>(use: () => T): T {
  process.setegid!(STRANGER);
  process.seteuid!(STRANGER);
  try {
    return use();
  } finally {
    process.seteuid!(0);
    process.setegid!(0);
  }
}

kernelTest("watch: programs of others see their own connections, and change nothing", async (context) => {
  if (process.getuid?.() !== 0) return context.skip("needs root: another user is tried");
  await using lab = await Lab.create(HEALTHY);
  const client = lab.host("client");
  const config = configFile("path_manager: userspace\n");
  chmodSync(dirname(config), 0o711);
  const daemon = await DaemonProcess.start(lab, client, "--config", config);
  const { service } = await connected(lab);
  const process_ = strangersConnection(client, service.port);
  await lab.waitFor(() => connectionsOf(client).length === 2, DEADLINE, "both connections");
  const mine = connectionsOf(client).find(({ uid }) => uid === STRANGER)!.token;
  const other = connectionsOf(client).find(({ uid }) => uid === 0)!.token;
  const { applications, socket } = runtimeFiles(client.netns);
  assert.deepEqual([statSync(socket).mode & 0o777, statSync(applications).mode & 0o777], [0o660, 0o666]);

  using refused = asStranger(() => new RawClient(connect(socket)));
  await refused.closed;
  using stranger = asStranger(() => new RawClient(connect(applications)));
  const asked = async (method: string, params: unknown = {}) => {
    const { result, error } = (await stranger.ask(request(method, params)))!;
    return (error?.code ?? result) as unknown as Record<string, unknown> & unknown[];
  };
  const { connections, isComplete } = await asked("watch");
  assert.deepEqual([(connections as { token: number }[]).map(({ token }) => token), isComplete], [[mine], true]);
  const [about, nothing, none] = await asked("why", { tokens: [mine, other, 1] });
  assert.equal((about as { connection: { token: number } }).connection.token, mine);
  assert.deepEqual([nothing, none], [null, null]);
  assert.deepEqual(Object.keys(await asked("hello")).sort(), [
    "control",
    "pathManager",
    "policy",
    "product",
    "version",
  ]);
  for (const method of ["snapshot", "endpoint.flush", "reload", "host", "limits.get"]) {
    assert.equal(await asked(method), "DENIED", method);
  }
  assert.equal(await asked("limits.set", { subflows: 0 }), "DENIED");
  assert.ok((await daemon.ask("limits.get")).subflows > 0);

  writeFileSync(config, "path_manager: userspace\napplications: none\n");
  daemon.signal("SIGHUP");
  await stranger.closed;
  assert.throws(() => statSync(applications));
  writeFileSync(config, "path_manager: userspace\napplications: see\n");
  daemon.signal("SIGHUP");
  await lab.waitFor(() => asStranger(() => statSync(applications, { throwIfNoEntry: false })), DEADLINE, "the socket");
  process_.kill();
  assert.equal(await daemon.end(), 0);
  assert.throws(() => statSync(applications));
});

kernelTest("watch: who stops, is killed or floods slows and ends nobody", async () => {
  await using lab = await Lab.create(HEALTHY);
  const client = lab.host("client");
  const daemon = await DaemonProcess.start(lab, client, "--path-manager", "userspace");
  const { applications, socket } = runtimeFiles(client.netns);
  const script = (path: string, then: string): string =>
    `const s = require("net").connect(${JSON.stringify(path)}); s.on("error", () => {}); ${then}`;
  const line = JSON.stringify(`${request("watch", { pace: 200 })}\n`);
  const readers = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ["-e", script(socket, `s.write(${line}.repeat(2000)); s.pause();`)]),
  );
  const stopped = spawn(process.execPath, ["-e", script(socket, `s.write(${line}.repeat(20)); s.resume();`)]);
  await lab.waitFor(async () => (await daemon.hello()) !== undefined, DEADLINE, "an answer beside");
  stopped.kill("SIGSTOP");
  // Arrivals by the hundred: the door for everybody is shut for a moment, the other one is not.
  const flood = spawn(process.execPath, [
    "-e",
    `const { connect } = require("net"); const go = () => { const s = connect(${JSON.stringify(applications)});
     s.on("error", () => {}); s.on("close", () => setImmediate(go)); s.on("connect", () => s.destroy()); };
     for (let i = 0; i < 50; i++) go();`,
  ]);
  const isShut = (): Promise<boolean> =>
    new Promise((resolve) => {
      const probe = connect(applications);
      probe.on("error", () => resolve(true)).on("connect", () => resolve(probe.destroy() === undefined));
    });
  await lab.waitFor(isShut, DEADLINE, "a door that is shut");
  const times: number[] = [];
  for (let round = 0; round < 20; round++) {
    const began = performance.now();
    await ask("limits.get", {}, { netns: client.netns });
    times.push(performance.now() - began);
  }
  const median = times.sort((a, b) => a - b)[10]!;
  assert.ok(median < 200, `an answer takes ${median} ms`);
  const { connection } = await connected(lab);
  await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "the second subflow");
  for (const child of [flood, stopped, ...readers]) {
    const ended = once(child, "exit");
    if (child.kill("SIGKILL")) await ended;
  }
  await lab.waitFor(async () => !(await isShut()), DEADLINE, "the door is open again");
  assert.equal((await new Client({ netns: client.netns }).list()).length, 1);
  connection.destroy();
  assert.equal(daemon.status, undefined);
  assert.equal(await daemon.end(), 0);
  assert.doesNotMatch(daemon.log, /"level":[56]0|please report/);
});
