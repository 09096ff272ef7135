import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Lab, transfer } from "../../src/lab/index.ts";
import { writePathManager } from "../../src/netlink/index.ts";
import { configFile, DaemonProcess, DEADLINE, KERNEL, pathsOf, stateOf, subflow } from "./daemon-support.ts";
import { becomes, defaultRoute, threeLinks } from "./host-support.ts";
import { kernelTest } from "./support.ts";

// What is looked at here comes after the warm-up, or before its end.
delete process.env.SUBFLOW_WARM_UP;

/** A disk of a few pages, in a mount namespace of its own, which goes with the process that this resolves to. */
async function smallDisk(directory: string) {
  const script = `mount -t tmpfs -o size=32k,mode=700 none "$0" && echo mounted && exec cat`;
  const holder = spawn("unshare", ["--mount", "sh", "-c", script, directory], { stdio: ["pipe", "pipe", "inherit"] });
  await once(holder.stdout, "data", { signal: AbortSignal.timeout(DEADLINE) });
  return holder;
}

function fill(path: string): void {
  assert.throws(() => writeFileSync(path, Buffer.alloc(1 << 20)), { code: "ENOSPC" });
}

kernelTest("a full disk under the state: said once, shown, tried again, and the host is served meanwhile", (context) =>
  threeLinks(async ({ lab, host }) => {
    const saved = process.env.SUBFLOW_RUNTIME_DIRECTORY;
    const directory = mkdtempSync(join(tmpdir(), "subflow-disk-"));
    const disk = await smallDisk(directory);
    context.after(() => {
      disk.kill();
      process.env.SUBFLOW_RUNTIME_DIRECTORY = saved;
      rmSync(directory, { recursive: true, force: true });
    });
    process.env.SUBFLOW_RUNTIME_DIRECTORY = directory;
    const daemon = DaemonProcess.launchBeside(disk.pid ?? 0, lab, host, ...KERNEL);
    // The same disk, seen from here.
    const view = `/proc/${disk.pid}/root${directory}`;
    process.env.SUBFLOW_RUNTIME_DIRECTORY = view;
    await daemon.ready();
    await becomes(lab, host, ["10.0.1.1 eth1", "10.0.2.1 eth2", "10.0.3.1 eth3"], "at first");
    fill(join(view, "filler"));
    for (const change of ["del", "add", "del"]) {
      const isBack = change === "add";
      await host.ip([`address ${change} 10.0.2.1/24 dev eth2`, ...(isBack ? [defaultRoute(2)] : [])]);
      const rest = isBack ? ["10.0.2.1 eth2"] : [];
      await becomes(lab, host, ["10.0.1.1 eth1", ...rest, "10.0.3.1 eth3"], "on a full disk");
    }
    await daemon.logged(/the state cannot be written: ENOSPC/);
    assert.match((await daemon.hello())?.troubles.join() ?? "", /^the state cannot be written: ENOSPC/);
    assert.match(subflow(host, "status").stdout, /trouble .*the state cannot be written: ENOSPC/);
    rmSync(join(view, "filler"));
    await daemon.logged(/the state is written again/);
    // The black box is on the same disk, and tries it again less often.
    const isWell = async (): Promise<boolean> => (await daemon.hello())?.troubles.length === 0;
    await lab.waitFor(isWell, 2 * DEADLINE, "no trouble");
    assert.deepEqual(
      stateOf(host).host.owned.filter((key) => key.includes("10.0.2.1")),
      [],
      "as it is now",
    );
    assert.equal(daemon.log.match(/the state cannot be written/g)?.length, 1, daemon.log);
    assert.equal(await daemon.end(), 0);
  }),
);

kernelTest("what cannot be read at SIGHUP changes nothing and is said; `reload` says so to who asked", () =>
  threeLinks(async ({ lab, host }) => {
    const main = join(dirname(configFile("")), "etc", "subflow.yaml");
    mkdirSync(dirname(main));
    writeFileSync(main, "automatic: false\nendpoints: [{ address: 10.0.1.1, dev: eth1, flags: [subflow] }]\n");
    const daemon = await DaemonProcess.start(lab, host, ...KERNEL, "--config", main);
    await becomes(lab, host, ["10.0.1.1 eth1"], "at first");
    const cases: readonly (readonly [() => void, RegExp])[] = [
      [() => writeFileSync(join(dirname(main), "conf.d"), ""), /conf\.d:1:1: cannot be read: ENOTDIR/],
      [
        () => {
          rmSync(join(dirname(main), "conf.d"));
          mkdirSync(join(dirname(main), "conf.d", "a.yaml"), { recursive: true });
        },
        /a\.yaml:1:1: cannot be read: EISDIR/,
      ],
      [() => rmSync(dirname(main), { recursive: true }), /subflow\.yaml:1:1: cannot be read: ENOENT/],
    ];
    for (const [spoil, message] of cases) {
      spoil();
      daemon.signal("SIGHUP");
      await daemon.logged(message);
      await assert.rejects(daemon.ask("reload"), { code: "DAEMON", message });
      await becomes(lab, host, ["10.0.1.1 eth1"], "the old configuration stays");
    }
    assert.equal(await daemon.end(), 0);
  }),
);

kernelTest(
  "ready before it is warm: on a slow machine, connections made meanwhile and before get their subflow",
  async () => {
    await using lab = await Lab.create({
      hosts: { client: { sourceRoutes: true }, server: {} },
      links: [
        { name: "wifi", ends: { client: ["10.0.1.1/24"], server: ["10.0.1.2/24"] } },
        { name: "cell", ends: { client: ["10.0.2.1/24"], server: ["10.0.2.2/24"] } },
      ],
    });
    const [client, server] = [lab.host("client"), lab.host("server")];
    for (const host of [client, server]) writePathManager("userspace", host.netns);
    await DaemonProcess.start(lab, server, "--path-manager", "userspace", "--no-automatic");
    const service = await server.listen({ address: "10.0.1.2" });
    const connect = async (): Promise<void> => {
      const connection = await service.connect(client.netns);
      await transfer(connection.client, connection.server, 1000);
      await transfer(connection.server, connection.client, 1000);
    };
    const config = configFile("automatic: false\nendpoints: [{ address: 10.0.2.1, dev: cell, flags: [subflow] }]\n");
    await connect();
    // 2,100 steps of 20 ms, were they done at once: it would be deaf for 42 s.
    const daemon = await DaemonProcess.launchScript(lab, client, "slow-child.js", config, "20").ready();
    await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "the subflow of the connection before");
    for (const subflows of [4, 6, 8]) {
      await connect();
      await lab.waitFor(() => pathsOf(client).length === subflows, DEADLINE, `${subflows} subflows`);
    }
    assert.doesNotMatch(daemon.log, /warmed up/, "it is not warm yet");
    assert.equal(subflow(client, "limits").status, 0, "it answers too");
    assert.equal(await daemon.end(), 0, "and ends when told to");
  },
);
