import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { transfer } from "../../src/lab/index.ts";
import type { Millis } from "../../src/types/index.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE, pathsOf, subflow } from "./daemon-support.ts";
import { connected, inWorld, OUTAGES, type World } from "./outage-support.ts";
import { becomes, Chatter, roles, shape, withPolicy } from "./policy-support.ts";
import { kernelTest } from "./support.ts";

// What policies do where networks, or the daemon, misbehave.

/** TCP's own timeouts would be seconds. A slow machine takes longer to do anything at all. */
const STALL_MAX: Millis = 2000;
const MOVING = [
  "active-backup",
  "{ name: active-backup, mode: lazy }",
  "handover",
  "interactive",
  "aggregate",
  "priority",
];

/** A connection over the first link that says something all the time. */
async function chatting(world: World) {
  const service = await world.server.listen({ address: "0.0.0.0" });
  const { client, server } = await service.connect(world.client.netns, { to: "10.0.1.2" });
  await transfer(client, server, 1000);
  return { client, server, chatter: new Chatter(client, server, 2000, 20) };
}

for (const policy of MOVING) {
  kernelTest(`a preferred link that flaps stalls nothing: ${policy}`, () =>
    withPolicy(policy, async (world) => {
      const { lab, client } = world;
      const { chatter } = await chatting(world);
      for (let flap = 0; flap < 3; flap++) {
        await OUTAGES.carrier(world, 1, false);
        await lab.waitFor(() => pathsOf(client).join() === "10.0.2.1>10.0.1.2", DEADLINE, "the other path alone");
        await sleep(300);
        await OUTAGES.carrier(world, 1, true);
        await lab.waitFor(() => pathsOf(client).length === 2, DEADLINE, "both paths");
        await sleep(300);
      }
      assert.ok(await chatter.end());
      assert.ok(chatter.stall < STALL_MAX, `${chatter.stall} ms`);
    }),
  );
}

for (const direction of ["up", "down"] as const) {
  kernelTest(
    `active-backup: the path goes silent while data go ${direction}: closed, the other carries, and back when it answers`,
    () =>
      withPolicy("{ name: active-backup, hold_down: 1s }", async (world, daemon) => {
        const { lab } = world;
        const connection = await connected(world, "userspace");
        const ends = [connection.client, connection.server] as const;
        const [from, to] = direction === "up" ? ends : [ends[1], ends[0]];
        await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
        const chatter = new Chatter(from, to, 1250, 10);
        await sleep(500);
        chatter.restartClock();
        await lab.link("eth1").blackhole(true);
        await becomes(world, "10.0.2.1 active");
        assert.ok(((await daemon.hello())?.paths?.silent ?? 0) >= 1, "found silent, not timed out");
        await lab.link("eth1").blackhole(false);
        await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
        assert.ok(await chatter.end());
        assert.ok(chatter.stall < STALL_MAX, `${chatter.stall} ms`);
      }),
  );
}

kernelTest("a daemon that is killed and started again goes on with what there is: who carries, carries", () =>
  inWorld(2, async (world) => {
    const { lab, client } = world;
    const args = ["--config", configFile("policy: { name: active-backup, hold_down: 2s }\n")];
    const first = await DaemonProcess.start(lab, client, ...args);
    const { chatter } = await chatting(world);
    await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
    await OUTAGES.carrier(world, 1, false);
    await becomes(world, "10.0.2.1 active");
    await OUTAGES.carrier(world, 1, true);
    await becomes(world, "10.0.1.1 backup,10.0.2.1 active");
    await first.end("SIGKILL");
    const second = await DaemonProcess.start(lab, client, ...args);
    assert.match(roles(world), /10\.0\.2\.1 active/);
    await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
    assert.ok(await chatter.end());
    assert.ok(chatter.stall < STALL_MAX, `${chatter.stall} ms`);
    assert.equal(await second.end(), 0);
  }),
);

kernelTest("another policy at run time: what the one before had made backup carries again", () =>
  withPolicy("active-backup", async (world) => {
    for (const link of [1, 2]) await shape(world, link, "20mbit", 50);
    const { client, server } = await connected(world, "userspace");
    await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
    const token = (connectionsOf(world.client)[0]?.token ?? 0).toString(16).padStart(8, "0");
    for (const [policy, expected] of [
      ["resilient", "10.0.1.1 active,10.0.2.1 active"],
      ["interactive", "10.0.1.1 active,10.0.2.1 backup"],
      ["none", "10.0.1.1 active,10.0.2.1 active"],
      ["handover", "10.0.1.1 active"],
    ] as const) {
      const words = policy === "handover" ? [policy, "hold_down=1s"] : [policy];
      const { status, stderr } = subflow(world.client, "policy", "set", token, ...words);
      assert.equal(status, 0, stderr);
      await becomes(world, expected);
      assert.ok((await transfer(client, server, 100_000)).isIntact, policy);
    }
  }),
);
