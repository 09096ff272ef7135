import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { runtimeFiles } from "../../src/control/index.ts";
import { Lab } from "../../src/lab/index.ts";
import { readPathManager } from "../../src/netlink/index.ts";
import { Client, request } from "../control/support.ts";
import { DaemonProcess, DEADLINE, subflow } from "./daemon-support.ts";
import { kernelTest } from "./support.ts";

// What is looked at here comes after the warm-up, or before its end.
delete process.env.SUBFLOW_WARM_UP;

const MIB = 1 << 20;

/** Bytes. */
function residentOf({ pid }: DaemonProcess): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

for (const pathManager of ["kernel", "userspace"] as const) {
  kernelTest(
    `whoever talks to the daemon, it serves and gives everything back, ${pathManager} path manager`,
    async () => {
      await using lab = await Lab.create({ hosts: { host: {} }, links: [] });
      const host = lab.host("host");
      const daemon = await DaemonProcess.start(lab, host, "--path-manager", pathManager);
      await daemon.logged(/warmed up/);
      const { socket } = runtimeFiles(host.netns);
      const before = residentOf(daemon);
      const nested = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
      const bad = [`{"v":${nested}}`, '{"v":{"toString":1}}', `{"v":1,"id":1,"method":"snapshot","params":${nested}}`];
      const clients: Client[] = [];
      for (let nth = 0; nth < 200; nth++) {
        const client = new Client(connect(socket));
        client.socket.write(`${bad[nth % bad.length]}\n`);
        // Some go before they are answered, some before they are let in, some never read.
        if (nth % 3 === 0) client.socket.destroy();
        else if (nth % 3 === 1) client.socket.pause().write(`${request("hello")}\n`.repeat(30_000));
        clients.push(client);
      }
      // Who does not read is closed in its time, and only then there is room again.
      await lab.waitFor(async () => (await daemon.hello()) !== undefined, DEADLINE, "room for one more");
      assert.equal(subflow(host, "limits").status, 0);
      const grown = residentOf(daemon) - before;
      assert.ok(grown < 96 * MIB, `grown by ${Math.round(grown / MIB)} MiB`);
      for (const client of clients) client[Symbol.dispose]();
      assert.equal(await daemon.end(), 0);
      assert.equal(readPathManager(host.netns), "kernel");
    },
  );
}
