import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { CAPABILITY } from "../../src/daemon/index.ts";
import { Lab } from "../../src/lab/index.ts";
import { configFile, DaemonProcess, SUBFLOW } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

const KEPT = (1n << BigInt(CAPABILITY.NET_ADMIN)) | (1n << BigInt(CAPABILITY.NET_BIND_SERVICE));
const SETS = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] as const;

interface Thread {
  readonly id: number;
  readonly sets: Record<(typeof SETS)[number], bigint>;
  readonly noNewPrivileges: boolean;
}

function threadsOf(pid: number): Thread[] {
  return readdirSync(`/proc/${pid}/task`).map((id) => {
    const status = readFileSync(`/proc/${pid}/task/${id}/status`, "utf8");
    const field = (name: string): string =>
      new RegExp(`^${name}:\\s*(\\S+)$`, "m").exec(status)?.[1] ?? assert.fail(name);
    const sets = Object.fromEntries(SETS.map((name) => [name, BigInt(`0x${field(name)}`)])) as Thread["sets"];
    return { id: Number(id), sets, noNewPrivileges: field("NoNewPrivs") === "1" };
  });
}

for (const mode of ["kernel", "userspace"]) {
  kernelTest(`no thread of the daemon keeps more than it needs, path manager ${mode}`, async () => {
    await using lab = await Lab.create({ hosts: { one: {} }, links: [] });
    const daemon = await DaemonProcess.start(lab, lab.host("one"), "--path-manager", mode);
    const threads = threadsOf(daemon.pid);
    // Node's own: libuv's and V8's are there before any script runs.
    assert.ok(threads.length > 4, `${threads.length} threads`);
    for (const { id, sets, noNewPrivileges } of threads) {
      for (const name of SETS)
        assert.equal(sets[name] & ~KEPT, 0n, `${name} of thread ${id}: ${sets[name].toString(16)}`);
      assert.ok(noNewPrivileges, `thread ${id}`);
    }
    assert.equal(threads.find(({ id }) => id === daemon.pid)?.sets.CapEff, KEPT, "the one that does the work");
    assert.ok(threads.filter(({ sets }) => sets.CapPrm === 0n).length >= 4, "the others have none");
    assert.equal(await daemon.end(), 0);
  });
}

/** As container engines have it. */
const READ_ONLY = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"';

kernelTest("where /proc/sys is read-only the daemon says so, and how to let it be written", async () => {
  await using lab = await Lab.create({ hosts: { one: {} }, links: [] });
  const run = [process.execPath, SUBFLOW, "run", "--path-manager", "userspace"];
  const command = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", ...run];
  const { status, stderr } = await lab.host("one").exec(command, { mayFail: true });
  assert.notEqual(status, 0);
  assert.match(
    stderr,
    /^Error: net\.mptcp\.\w+ cannot be set: \/proc\/sys is read-only here, as in containers; let it/m,
  );
});

kernelTest("only where a rule names a command the daemon may look into processes", async () => {
  await using lab = await Lab.create({ hosts: { one: {} }, links: [] });
  const config = configFile("rules: [{ match: { command: rsync }, policy: standard }]\n");
  const daemon = await DaemonProcess.start(lab, lab.host("one"), "--config", config);
  const main = threadsOf(daemon.pid).find(({ id }) => id === daemon.pid);
  assert.equal(
    main?.sets.CapEff,
    KEPT | (1n << BigInt(CAPABILITY.SYS_PTRACE)) | (1n << BigInt(CAPABILITY.DAC_READ_SEARCH)),
  );
  assert.equal(await daemon.end(), 0);
});
