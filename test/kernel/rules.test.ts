import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { transfer } from "../../src/lab/index.ts";
import { MptcpPm } from "../../src/netlink/index.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE, subflow } from "./daemon-support.ts";
import { inWorld, type World } from "./outage-support.ts";
import { kernelTest, peerTest } from "./support.ts";

const PYTHON = "/usr/bin/python3";

interface Shown {
  readonly token: string;
  readonly path: { readonly remote: { readonly port: number } };
  readonly policy?: string;
  readonly rule?: string;
}

/** A daemon with these rules, on a client with so many links. */
async function withRules(
  links: number,
  rules: string,
  use: (world: World, config: string) => Promise<void>,
): Promise<void> {
  await inWorld(links, async (world) => {
    const config = configFile(rules);
    const daemon = await DaemonProcess.start(world.lab, world.client, "--config", config);
    await daemon.logged(/userspace, because the in-kernel one cannot do what rules say/);
    await use(world, config);
    assert.equal(await daemon.end(), 0);
  });
}

/** A connection to a port of the server. */
async function connect({ server, client }: World, port: number) {
  const service = await server.listen({ address: "0.0.0.0", port });
  const connection = await service.connect(client.netns, { to: "10.0.1.2" });
  await transfer(connection.client, connection.server, 1000);
  return connection;
}

/** Its local addresses with a subflow, backups in brackets. */
function addressesOf({ client }: World, port: number): string {
  const connection = connectionsOf(client).find(({ path }) => path.remote.port === port);
  const subflows = (connection?.subflows ?? []).filter(({ state }) => state === "established");
  return subflows
    .map(({ path, backupLocal }) => (backupLocal ? `(${path.local.address})` : path.local.address))
    .sort()
    .join(" ");
}

const shown = ({ client }: World, port: number): Shown =>
  (JSON.parse(subflow(client, "-j", "connections").stdout) as Shown[]).find(({ path }) => path.remote.port === port) ??
  assert.fail(`no connection to port ${port}`);

kernelTest("rules: by port, limits, interfaces and backup; `connections`, `why` and `rule test` say which", () =>
  withRules(
    3,
    `rules:
  - { name: two, match: { remote_port: 5001 }, limits: { subflows: 1 }, interfaces: { deny: eth2 } }
  - { name: spare, match: { remote_port: [5002, 6000-6010], remote: 10.0.0.0/8 }, interfaces: { backup: "eth[23]" } }
  - { match: { remote_port: 5003 }, policy: { name: active-backup, hold_down: 1s }, delay: 300ms }
`,
    async (world, config) => {
      const { lab, client } = world;
      const becomes = (port: number, expected: string) =>
        lab.waitFor(() => addressesOf(world, port) === expected, DEADLINE, `${port}: ${expected}`);
      for (const port of [5000, 5001, 5002, 5003]) await connect(world, port);
      await becomes(5000, "10.0.1.1 10.0.2.1 10.0.3.1");
      await becomes(5001, "10.0.1.1 10.0.3.1");
      await becomes(5002, "(10.0.2.1) (10.0.3.1) 10.0.1.1");
      await becomes(5003, "(10.0.2.1) (10.0.3.1) 10.0.1.1");
      assert.deepEqual(
        [5000, 5001, 5002, 5003].map((port) => `${shown(world, port).policy}, ${shown(world, port).rule}`),
        ["resilient, ", "resilient, two", "resilient, spare", "active-backup hold_down=1s, 3"],
      );
      const { token } = shown(world, 5002);
      assert.match(subflow(client, "why", token).stdout, /policy resilient {2}rule spare/);
      assert.match(
        subflow(client, "top", "--once", "--search", "spare").stdout,
        new RegExp(`${token} .*resilient \\(rule`),
      );
      assert.match(subflow(client, "rule", "test", token, "--config", config).stdout, /^rule spare\n/);
      const described = subflow(client, "rule", "test", "--remote", "10.9.9.9:6005", "--config", config).stdout;
      assert.match(described, /^rule spare\n +not two +remote port of 10.9.9.9:6005 is not 5001\n$/);
    },
  ),
);

kernelTest("rules: whose connection it is: the user, and the command where the daemon may look into processes", () =>
  withRules(
    2,
    `rules:
  - { name: another, match: { user: 4242, remote_port: 5000-5009 }, limits: { subflows: 0 } }
  - { name: command, match: { command: ${readFileSync("/proc/self/comm", "utf8").trim()}, remote_port: 5001 }, limits: { subflows: 0 } }
  - { name: not this one, match: { command: nothing-of-that-name }, limits: { subflows: 0 } }
  - { name: user, match: { user: ${process.getuid?.()} }, policy: active-backup }
`,
    async (world) => {
      const { lab } = world;
      for (const port of [5000, 5001]) await connect(world, port);
      await lab.waitFor(() => addressesOf(world, 5000) === "(10.0.2.1) 10.0.1.1", DEADLINE, "active-backup");
      assert.equal(shown(world, 5000).rule, "user");
      assert.equal(shown(world, 5001).rule, "command");
      assert.equal(addressesOf(world, 5001), "10.0.1.1", "no further subflow");
    },
  ),
);

kernelTest("rules: a connection that has carried too little keeps its one path, whichever way the bytes went", () =>
  withRules(
    2,
    `rules:
  - { match: { remote_port: 5001-5003 }, delay: 64kB }
  - { match: { remote_port: 5004 }, delay: 64kB or 300ms }
`,
    async (world) => {
      const { lab, client } = world;
      const becomes = (port: number, expected: string) =>
        lab.waitFor(() => addressesOf(world, port) === expected, DEADLINE, `${port}: ${expected}`);
      const [small, up, down] = [await connect(world, 5001), await connect(world, 5002), await connect(world, 5003)];
      await connect(world, 5004);
      const { token } = shown(world, 5001);
      const why = (): string => subflow(client, "why", token).stdout;
      // It is looked at, and what it has carried is known.
      await lab.waitFor(() => /when it has carried 64kB \(1(\.\d)?kB so far\)/.test(why()), DEADLINE, "counted");
      await becomes(5004, "10.0.1.1 10.0.2.1");
      await transfer(up.client, up.server, 70_000);
      await transfer(down.server, down.client, 70_000);
      await becomes(5002, "10.0.1.1 10.0.2.1");
      await becomes(5003, "10.0.1.1 10.0.2.1");
      assert.equal(addressesOf(world, 5001), "10.0.1.1", "and the small one has one path still");
      assert.match(why(), /when it has carried 64kB/);
      await transfer(small.client, small.server, 70_000);
      await becomes(5001, "10.0.1.1 10.0.2.1");
      await connect(world, 5005);
      await becomes(5005, "10.0.1.1 10.0.2.1");
    },
  ),
);

kernelTest("rules: one connection is given another delay", () =>
  withRules(2, "rules: [{ match: { remote_port: 5001 }, delay: 1MB }]\n", async (world) => {
    const { lab, client } = world;
    await connect(world, 5001);
    const { token } = shown(world, 5001);
    const refused = subflow(client, "policy", "set", token, "resilient", "delay=64");
    assert.match(refused.stderr, /delay: "64" is neither a time as "500ms" nor an amount as "64kB"/);
    assert.equal(addressesOf(world, 5001), "10.0.1.1");
    assert.equal(subflow(client, "policy", "set", token, "resilient", "delay=1kB").status, 0);
    await lab.waitFor(() => addressesOf(world, 5001) === "10.0.1.1 10.0.2.1", DEADLINE, "both");
  }),
);

kernelTest("rules: read again, they hold for connections that there are", () =>
  inWorld(2, async (world) => {
    const { lab, client } = world;
    const { writeFileSync } = await import("node:fs");
    const config = configFile("policy: resilient\npath_manager: userspace\n");
    const daemon = await DaemonProcess.start(lab, client, "--config", config);
    const connection = await connect(world, 5001);
    await lab.waitFor(() => addressesOf(world, 5001) === "10.0.1.1 10.0.2.1", DEADLINE, "both");
    writeFileSync(
      config,
      "path_manager: userspace\nrules: [{ match: { remote_port: 5001 }, interfaces: { deny: eth1 } }]\n",
    );
    daemon.signal("SIGHUP");
    await lab.waitFor(() => addressesOf(world, 5001) === "10.0.2.1", DEADLINE, "the first interface is left");
    assert.ok((await transfer(connection.client, connection.server, 100_000)).isIntact);
    writeFileSync(
      config,
      "path_manager: userspace\nrules: [{ match: { remote_port: 5001 }, interfaces: { deny: eth* } }]\n",
    );
    daemon.signal("SIGHUP");
    await daemon.logged(/read again[\s\S]*read again/);
    assert.ok((await transfer(connection.client, connection.server, 100_000)).isIntact);
    assert.equal(addressesOf(world, 5001), "10.0.2.1", "the last one stays");
    using pm = MptcpPm.open({ netns: client.netns });
    assert.equal(pm.connections().length, 1);
    assert.equal(await daemon.end(), 0);
  }),
);

peerTest("rules: the command of another user's process", PYTHON, async (t) => {
  if (process.getuid?.() !== 0 || !isOutermost()) return t.skip("there is no other user in this user namespace");
  const rules = "rules: [{ name: talkers, match: { command: python*, user: 65534 }, limits: { subflows: 0 } }]\n";
  await withRules(2, rules, async (world) => {
    const { lab, client, server } = world;
    const talk = join(import.meta.dirname, "..", "..", "..", "examples", "talk.py");
    server.spawn([PYTHON, talk, "serve"], { stdio: "ignore" });
    const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    const untilThere = `until ${PYTHON} -c "$1"; do sleep 0.1; done`;
    client.spawn([...nobody, "sh", "-c", untilThere, "sh", readFileSync(talk, "utf8")], { stdio: "ignore" });
    const rule = (): string | undefined =>
      (JSON.parse(subflow(client, "-j", "connections").stdout) as Shown[])[0]?.rule;
    await lab.waitFor(() => rule() === "talkers", DEADLINE, "the rule");
    assert.equal(addressesOf(world, 5000), "10.0.1.1");
  });
});

function isOutermost(): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync("/proc/self/uid_map", "utf8"));
}
