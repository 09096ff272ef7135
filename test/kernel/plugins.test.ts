import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { transfer } from "../../src/lab/index.ts";
import { configFile, DaemonProcess, DEADLINE, subflow, subflowsOf } from "./daemon-support.ts";
import { inWorld, OUTAGES, type World } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

/** Everything but the first is backup; what it does besides is said by the server's port. */
const MODULE = `
const leak = [];
export const policy = {
  name: "mine",
  plan(view) {
    const { port } = view.initial.remote;
    if (port === 5001) throw new Error("by the test");
    if (port === 5002) for (;;);
    if (port === 5003) process.exit(3);
    if (port === 5004) for (;;) leak.push(Buffer.alloc(1 << 20, 1));
    if (port === 5005) for (let n = 0; n < 1000; n++) process.stdout.write("noise\\n");
    const opens = view.pairs.filter(({ subflows, blocked }) => subflows.length === 0 && blocked === "");
    return {
      subflows: [
        ...view.subflows.map((keep, place) => ({ keep, backup: place > 0 })),
        ...opens.map((open) => ({ open, backup: true })),
      ],
    };
  },
};
`;

function moduleFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "subflow-plugin-"));
  chmodSync(folder, 0o755);
  const file = join(folder, "mine.mjs");
  writeFileSync(file, text);
  return file;
}

async function withPlugin(
  text: string,
  use: (world: World, daemon: DaemonProcess, file: string) => Promise<void>,
): Promise<void> {
  const file = moduleFile(text);
  await inWorld(2, async (world) => {
    const config = configFile(`plugins: { mine: ${file} }\npolicy: plugin:mine\n`);
    const daemon = await DaemonProcess.start(world.lab, world.client, "--config", config);
    await daemon.logged(/plugin:mine answers/);
    await use(world, daemon, file);
  });
}

async function connect({ server, client }: World, port: number) {
  const service = await server.listen({ address: "0.0.0.0", port });
  const connection = await service.connect(client.netns, { to: "10.0.1.2" });
  await transfer(connection.client, connection.server, 1000);
  await transfer(connection.server, connection.client, 1000);
  return connection;
}

/** Of the connection to that port, the local addresses of its subflows, backups in brackets. */
function addressesOf({ client }: World, port: number): string {
  return subflowsOf(client)
    .filter(({ state, path }) => state === "established" && path.remote.port === port)
    .map(({ path, backupLocal }) => (backupLocal ? `(${path.local.address})` : path.local.address))
    .sort()
    .join(" ");
}

const becomes = (world: World, port: number, expected: string) =>
  world.lab.waitFor(() => addressesOf(world, port) === expected, DEADLINE, `${port}: ${expected}`);
const PLANNED = "(10.0.2.1) 10.0.1.1";
const RESILIENT = "10.0.1.1 10.0.2.1";

kernelTest("plug-in: it plans from a process of its own, without rights, and what it breaks is its process", () =>
  withPlugin(MODULE, async (world, daemon) => {
    const first = await connect(world, 5000);
    await becomes(world, 5000, PLANNED);
    assert.match(subflow(world.client, "connections").stdout, /policy plugin:mine/);
    const worker = workerOf(daemon.pid);
    assert.ok(worker, "a process");
    const status = readFileSync(`/proc/${worker}/status`, "utf8");
    for (const set of ["CapEff", "CapPrm", "CapInh", "CapAmb"]) assert.match(status, new RegExp(`^${set}:\\s0+$`, "m"));
    if (process.getuid?.() === 0 && !isInUserNamespace()) assert.match(status, /^Uid:\s+65534\s+65534\s+65534/m);
    // A throw: reported once, and the connection goes on.
    await connect(world, 5001);
    await daemon.logged(/policy plugin:mine fails: Error: by the test/);
    await becomes(world, 5001, RESILIENT);
    for (const [port, says] of [
      [5002, "does not answer"],
      [5003, "does not answer"],
      [5004, "does not answer"],
      [5005, "says what nobody asked for"],
    ] as const) {
      const before = daemon.log.length;
      const connection = await connect(world, port);
      await world.lab.waitFor(
        () => daemon.log.slice(before).includes(says),
        DEADLINE,
        `${port}: ${says}\n${daemon.log}`,
      );
      await becomes(world, port, RESILIENT);
      assert.equal(addressesOf(world, 5000), PLANNED, "the others keep their plans");
      connection.destroy();
      await world.lab.waitFor(
        () => daemon.log.slice(before).includes("plugin:mine answers"),
        2 * DEADLINE,
        "it is back",
      );
    }
    await OUTAGES["interface down"](world, 2, false);
    await becomes(world, 5000, "10.0.1.1");
    await OUTAGES["interface down"](world, 2, true);
    await becomes(world, 5000, PLANNED);
    assert.ok((await transfer(first.client, first.server, 1_000_000)).isIntact);
    assert.equal(await daemon.end(), 0);
  }),
);

kernelTest("plug-in: it is read again without a restart, and ends with the daemon", () =>
  withPlugin(MODULE, async (world, daemon, file) => {
    await connect(world, 5000);
    await becomes(world, 5000, PLANNED);
    const [{ token } = { token: "" }] = JSON.parse(subflow(world.client, "-j", "connections").stdout) as {
      token: string;
    }[];
    const choose = (policy: string) => subflow(world.client, "policy", "set", token, policy);
    assert.equal(choose("resilient").status, 0);
    await becomes(world, 5000, RESILIENT);
    assert.match(choose("plugin:none").stderr, /there is no policy plugin:none; there are standard, .*plugin:mine/);
    assert.equal(choose("plugin:mine").status, 0);
    await becomes(world, 5000, PLANNED);
    writeFileSync(file, MODULE.replace("place > 0", "false").replace("backup: true", "backup: false"));
    daemon.signal("SIGHUP");
    await becomes(world, 5000, RESILIENT);
    writeFileSync(file, "export const nothing = 1;");
    daemon.signal("SIGHUP");
    await daemon.logged(/plugin:mine cannot be used: .* it exports no `policy`/);
    await connect(world, 5010);
    await becomes(world, 5010, RESILIENT);
    writeFileSync(file, MODULE);
    daemon.signal("SIGHUP");
    await becomes(world, 5010, PLANNED);
    const worker = workerOf(daemon.pid) ?? 0;
    daemon.signal("SIGKILL");
    await world.lab.waitFor(() => !isRunning(worker), DEADLINE, "the worker has ended");
    // Puts back what the killed one has left.
    const next = await DaemonProcess.start(world.lab, world.client);
    assert.equal(await next.end(), 0);
  }),
);

/** The process that runs the module: a grandchild of the daemon. */
function workerOf(daemon: number): number | undefined {
  const parents = new Map(
    readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [[Number(name), parentOf(Number(name))]] : [])) as [
      number,
      number,
    ][],
  );
  const isBelow = (pid: number): boolean => parents.get(parents.get(pid) ?? 0) === daemon;
  return [...parents.keys()].find(
    (pid) => isBelow(pid) && cmdlineOf(pid).includes("mine.mjs") && cmdlineOf(pid)[0] !== "/bin/sh",
  );
}

function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return 0;
  }
}

function cmdlineOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1")
      .split("\0")
      .map((word) => (word.endsWith("mine.mjs") ? "mine.mjs" : word));
  } catch {
    return [];
  }
}

const isRunning = (pid: number): boolean => cmdlineOf(pid).includes("mine.mjs");

function isInUserNamespace(): boolean {
  return !/^\s+0\s+0\s+4294967295$/m.test(readFileSync("/proc/self/uid_map", "utf8"));
}

const AS_SERVICE = ["--reuid=65534", "--regid=65534", "--clear-groups"];
const AMBIENT = ["--inh-caps=+net_admin,+net_bind_service", "--ambient-caps=+net_admin,+net_bind_service"];

kernelTest("plug-in: where the daemon is not root, it has none of the daemon's rights either", (context) => {
  if (spawnSync("setpriv", [...AS_SERVICE, "true"]).status !== 0) return context.skip("there is no other user here");
  const child = join(import.meta.dirname, "plugin-child.js");
  const { status, stdout, stderr } = spawnSync("setpriv", [...AS_SERVICE, ...AMBIENT, process.execPath, child], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, "");
  // What is inheritable gives nothing to a program whose file has no capabilities.
  for (const set of ["CapPrm", "CapEff", "CapAmb"])
    assert.match(stdout, new RegExp(`^${set}:\\s0{16}$`, "m"), `${set}\n${stdout}`);
  assert.match(stdout, /^NoNewPrivs:\s1$/m);
  assert.match(stdout, /^Uid:\s65534/m);
});
