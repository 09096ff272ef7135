import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Host, transfer } from "../../src/lab/index.ts";
import { netnsInode, Rtnl } from "../../src/netlink/index.ts";
import type { QuotaUse } from "../../src/types/index.ts";
import { configFile, DaemonProcess, DEADLINE, pathsOf, subflow, subflowsOf } from "./daemon-support.ts";
import { tableOf } from "./host-support.ts";
import { connected, inWorld, portsOf, type World } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

const state = mkdtempSync(join(tmpdir(), "subflow-test-state-"));
process.env.SUBFLOW_STATE_DIRECTORY = state;
process.on("exit", () => rmSync(state, { recursive: true, force: true }));

const MB = 1e6;
/** Counters are read every 10 s; what follows may take as long again on a slow machine. */
const LOOK = 20_000;

/** What is used of the only quota there is. */
async function useOf(daemon: DaemonProcess): Promise<QuotaUse> {
  const use = (await daemon.hello())?.quotas?.[0];
  assert.ok(use);
  return use;
}

async function stageBecomes({ lab }: World, daemon: DaemonProcess, stage: QuotaUse["stage"]): Promise<void> {
  await lab.waitFor(async () => (await useOf(daemon)).stage === stage, LOOK, `stage ${stage}`);
}

/** Whatever it is, the provider bills it: UDP, until the interface has carried so much in all. */
async function burn({ client }: World, device: string, to: string, total: number): Promise<void> {
  for (let left = total - carried(client, device); left > 0; left = total - carried(client, device)) {
    const count = Math.ceil(left / 1442);
    const program = `const s = require("node:dgram").createSocket("udp4"), b = Buffer.alloc(1400);
      let n = ${count}; const next = () => n-- > 0 ? s.send(b, 9, "${to}", next) : s.close(); next();`;
    await client.exec([process.execPath, "-e", program]);
  }
}

function carried(host: Host, device: string): number {
  using rtnl = Rtnl.open({ netns: host.netns });
  const index = rtnl.links().find(({ name }) => name === device)?.index ?? 0;
  const [bytes] = rtnl.linkBytes([index]);
  assert.ok(bytes);
  return bytes.received + bytes.sent;
}

/** Local addresses of subflows that are backup by our word. */
const backups = (host: Host): string[] =>
  subflowsOf(host)
    .filter(({ backupLocal }) => backupLocal)
    .map(({ path }) => path.local.address);

for (const mode of ["kernel", "userspace"] as const) {
  kernelTest(
    `a quota is counted over restarts, then its path is backup, then off, and the others carry on: ${mode}`,
    () =>
      inWorld(2, async (world) => {
        const { lab, client } = world;
        const args = ["--path-manager", mode, "--config"] as const;
        const config = configFile("interfaces: [{ name: eth2, role: subflow, quota: 10MB/day }]\n");
        const first = await DaemonProcess.start(lab, client, ...args, config);
        const before = carried(client, "eth2");
        const connection = await connected(world, mode);
        const ports = portsOf(client);
        await burn(world, "eth2", "10.0.2.2", before + 5 * MB);
        assert.equal(await first.end("SIGKILL"), null);
        await burn(world, "eth2", "10.0.2.2", before + 8.5 * MB);
        const second = await DaemonProcess.start(lab, client, ...args, config);
        assert.match(second.log, /eth2 has used 8\d % of its quota of 10MB a day/, "80 %");
        assert.ok((await useOf(second)).used >= 8.4 * MB, "what came without a daemon counts");
        await burn(world, "eth2", "10.0.2.2", before + 10.3 * MB);
        await stageBecomes(world, second, "backup");
        await lab.waitFor(() => backups(client).join() === "10.0.2.1", DEADLINE, `backup\n${second.log}`);
        assert.deepEqual(portsOf(client), ports, "no subflow was closed for it");
        assert.match(
          subflow(client, "status").stdout,
          /quota +eth2 +10\.\dMB of 10MB a day \(10\d %\); used up: backup/,
        );
        assert.equal(await second.end(), 0);
        const written = readdirSync(state).filter((name) => !name.startsWith("black-box"));
        assert.deepEqual(written, [`quota-${netnsInode(client.netns)}.json`], "one file, of this namespace");

        const third = await DaemonProcess.start(lab, client, ...args, config);
        assert.equal((await useOf(third)).stage, "backup", "and after a restart from the first plan on");
        assert.doesNotMatch(third.log, /has used/, "said once a day");
        await burn(world, "eth2", "10.0.2.2", before + 11.5 * MB);
        await stageBecomes(world, third, "off");
        await lab.waitFor(() => pathsOf(client).join() === "10.0.1.1>10.0.1.2", DEADLINE, `off\n${third.log}`);
        assert.ok((await transfer(connection.client, connection.server, MB)).isIntact);
        const hello = JSON.parse(subflow(client, "-j", "status").stdout).daemon.hello;
        assert.equal(hello.quotas[0].stage, "off");
        writeFileSync(config, "interfaces: [{ name: eth2, role: subflow, quota: 50MB/day }]\n");
        third.signal("SIGHUP");
        await lab.waitFor(() => pathsOf(client).length === 2, LOOK, `a quota that is not used up\n${third.log}`);
        assert.deepEqual(backups(client), []);
        assert.equal(await third.end(), 0);
        rmSync(state, { recursive: true });
      }),
  );

  kernelTest(`the last subflow of a connection is kept above every quota, and carries on: ${mode}`, () =>
    inWorld(1, async (world) => {
      const { lab, client } = world;
      const config = configFile("interfaces: [{ name: eth*, role: subflow, quota: 2MB/day }]\n");
      const daemon = await DaemonProcess.start(lab, client, "--path-manager", mode, "--config", config);
      const connection = await connected(world, mode);
      const ports = portsOf(client);
      for (let round = 0; round < 4; round++) {
        assert.ok((await transfer(connection.client, connection.server, MB)).isIntact);
      }
      await stageBecomes(world, daemon, "off");
      if (mode === "userspace") {
        await lab.waitFor(async () => (await tableOf(client, mode)).endpoints.length === 0, DEADLINE, "no endpoint");
      }
      assert.ok((await transfer(connection.client, connection.server, MB)).isIntact);
      assert.ok((await transfer(connection.server, connection.client, MB)).isIntact);
      assert.deepEqual(portsOf(client), ports, daemon.log);
      assert.equal(await daemon.end(), 0);
      rmSync(state, { recursive: true });
    }),
  );
}
