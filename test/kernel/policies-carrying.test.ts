import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { transfer } from "../../src/lab/index.ts";
import type { Millis } from "../../src/types/index.ts";
import { configFile, DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import { nft } from "./doctor-support.ts";
import { connected, inWorld, type World } from "./outage-support.ts";
import { becomes, Chatter, carries, fillQueue, roles, shape, sharesOf, withPolicy } from "./policy-support.ts";
import { kernelTest } from "./support.ts";

// Which paths carried which share of the bytes, and that the application did not stall.

/** A slow machine takes longer to do anything at all. */
const STALL_MAX: Millis = 3000;

/** What was tried in vain meanwhile is tried again after twice as long. */
const RETURN: Millis = 4 * DEADLINE;

/** A connection over the first link, of which nothing else is awaited. */
const begun = async (world: World) => {
  const service = await world.server.listen({ address: "0.0.0.0" });
  const connection = await service.connect(world.client.netns, { to: "10.0.1.2" });
  await transfer(connection.client, connection.server, 1000);
  return connection;
};

kernelTest(
  "active-backup, lazy: no second subflow until the first path dies silently, and none when it is well again",
  () =>
    withPolicy("{ name: active-backup, mode: lazy, hold_down: 1s }", async (world) => {
      const { lab, client: host } = world;
      const { client, server } = await begun(world);
      const chatter = new Chatter(client, server, 5000, 20);
      const [, spared = 1] = await sharesOf(world, () => transfer(server, client, 3_000_000));
      assert.ok(spared < 0.01, `${spared} over the other path`);
      await lab.link("eth1").blackhole(true);
      await lab.waitFor(() => pathsOf(host).join() === "10.0.2.1>10.0.1.2", DEADLINE, "the other path alone");
      const [, carried = 0] = await sharesOf(world, () => transfer(server, client, 3_000_000));
      assert.ok(carried > 0.95, `${carried} over the other path`);
      assert.ok(chatter.stall < STALL_MAX, `${chatter.stall} ms`);
      await lab.link("eth1").blackhole(false);
      await becomes(world, "10.0.1.1 active");
      assert.ok(await chatter.end());
    }),
);

kernelTest(
  "handover: one path at a time; the data move when it loses too much, and back when it was avoided for a while",
  () =>
    withPolicy("{ name: handover, loss: 5%, hold_down: 3s }", async (world) => {
      const { client, server } = await begun(world);
      const chatter = new Chatter(client, server, 20_000, 20);
      const [, before = 1] = await sharesOf(world, () => transfer(server, client, 3_000_000));
      assert.ok(before < 0.01, `${before} over the other path`);
      await nft(world.server, "iifname eth1 meta length > 500 numgen random mod 100 < 12 drop");
      await becomes(world, "10.0.1.1 backup,10.0.2.1 active");
      // What was on its way when the data moved comes the old way still, again and again where it is lost.
      await carries(world, 2);
      const [, after = 0] = await sharesOf(world, () => transfer(server, client, 3_000_000));
      assert.ok(after > 0.95, `${after} over the other path`);
      await world.server.exec(["nft", "delete", "table", "inet", "lab"]);
      await becomes(world, "10.0.1.1 active", RETURN);
      assert.ok(chatter.stall < STALL_MAX, `${chatter.stall} ms`);
      assert.ok(await chatter.end());
    }),
);

kernelTest(
  "interactive: while somebody else fills the queue of the preferred path another carries, and then it again",
  () =>
    withPolicy("{ name: interactive, above: 80ms, hold_down: 2s }", async (world) => {
      await shape(world, 1, "4mbit", 400);
      const { client, server } = await connected(world, "userspace");
      const chatter = new Chatter(client, server, 200, 20);
      await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
      const end = await fillQueue(world, 1);
      await becomes(world, "10.0.1.1 backup,10.0.2.1 active");
      chatter.restartClock();
      assert.ok((await transfer(server, client, 100_000)).isIntact);
      end();
      await becomes(world, "10.0.1.1 active,10.0.2.1 backup", RETURN);
      assert.ok(chatter.stall < STALL_MAX, `${chatter.stall} ms`);
      assert.ok(await chatter.end());
    }),
);

kernelTest(
  "aggregate: both paths carry their share; one that has become very slow is backup, and carries again afterwards",
  () =>
    withPolicy("{ name: aggregate, hold_down: 3s }", async (world) => {
      for (const link of [1, 2]) await shape(world, link, "20mbit", 50);
      const { client, server } = await connected(world, "userspace");
      const both = await sharesOf(world, () => transfer(client, server, 8_000_000));
      assert.ok(Math.min(...both) > 0.25, both.join());
      await shape(world, 2, "200kbit", 1500);
      let isOver = false;
      const sent = (async () => {
        while (!isOver) assert.ok((await transfer(client, server, 1_000_000)).isIntact);
      })();
      await becomes(world, "10.0.1.1 active,10.0.2.1 backup", RETURN);
      await shape(world, 2, "20mbit", 50);
      await becomes(world, "10.0.1.1 active,10.0.2.1 active", RETURN);
      isOver = true;
      await sent;
      const again = await sharesOf(world, () => transfer(client, server, 8_000_000));
      assert.ok(Math.min(...again) > 0.2, again.join());
    }),
);

kernelTest(
  "cost: what costs less carries, wherever the connection began, and at once where a reload says otherwise",
  () =>
    inWorld(2, async (world) => {
      const priced = (first: number): string =>
        `policy: { name: active-backup, hold_down: 1s }\ninterfaces:\n  - { name: eth1, role: subflow, cost: ${first} }\n  - { name: eth2, role: subflow, cost: 1 }\n`;
      const config = configFile(priced(3));
      const daemon = await DaemonProcess.start(world.lab, world.client, "--config", config);
      const { client, server } = await begun(world);
      const talk = new Chatter(client, server, 2000, 20);
      await becomes(world, "10.0.1.1 backup,10.0.2.1 active");
      writeFileSync(config, priced(0));
      daemon.signal("SIGHUP");
      await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
      assert.ok(await talk.end(), "all of it arrived");
      assert.equal(await daemon.end(), 0, daemon.log);
    }),
);

kernelTest("priority: the second path joins when the first is full, and leaves again", () =>
  withPolicy("{ name: priority, joins: 500ms, leaves: 1s }", async (world) => {
    for (const link of [1, 2]) await shape(world, link, "10mbit", 50);
    const { client, server } = await connected(world, "userspace");
    const chatter = new Chatter(client, server, 5000, 20);
    await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
    const [, little = 1] = await sharesOf(world, () => transfer(server, client, 500_000));
    assert.ok(little < 0.02, `${little} over the second path`);
    const sent = transfer(client, server, 12_000_000);
    const [, joined = 0] = await sharesOf(world, () => sent);
    assert.ok(joined > 0.15, `${joined} over the second path`);
    assert.ok((await sent).longestStall < STALL_MAX);
    assert.equal(roles(world), "10.0.1.1 active,10.0.2.1 active");
    await becomes(world, "10.0.1.1 active,10.0.2.1 backup");
    assert.ok(await chatter.end());
  }),
);

kernelTest("priority: what a path carries at most tells of a download too", () =>
  withPolicy('{ name: priority, joins: 500ms, full: "10Mbit/s" }', async (world) => {
    for (const link of [1, 2]) await shape(world, link, "10mbit", 50);
    const { client, server } = await connected(world, "userspace");
    const [, joined = 0] = await sharesOf(world, () => transfer(server, client, 8_000_000));
    assert.ok(joined > 0.15, `${joined} over the second path`);
  }),
);
