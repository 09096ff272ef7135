import assert from "node:assert/strict";
import { test } from "node:test";
import { ask } from "../../src/control/index.ts";
import { type Host, patience, transfer } from "../../src/lab/index.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE } from "./daemon-support.ts";
import { inWorld, type World } from "./outage-support.ts";
import { becomes, Chatter } from "./policy-support.ts";
import { whyNot } from "./support.ts";
import { type Air, wifi } from "./wifi-support.ts";

// Needs a machine of its own with Debian's whole kernel: `npm run test:kernels -- wifi`.

/** What was tried in vain meanwhile is tried again after twice as long. */
const RETURN = 4 * DEADLINE;

/** Bytes that a host has sent and received by an interface. */
async function carried(host: Host, name: string): Promise<number> {
  const { stdout } = await host.exec(["ip", "-j", "-s", "link", "show", "dev", name]);
  const [link] = JSON.parse(stdout) as { stats64: { rx: { bytes: number }; tx: { bytes: number } } }[];
  return (link?.stats64.rx.bytes ?? 0) + (link?.stats64.tx.bytes ?? 0);
}

/** What the daemon says of the client's subflows when it is asked why. */
async function objections({ client }: World): Promise<string[]> {
  const tokens = connectionsOf(client).map(({ token }) => token);
  const answers = (await ask("why", { tokens }, { netns: client.netns })) as {
    readonly connection: { readonly subflows: readonly { readonly objection?: string }[] };
  }[];
  return answers.flatMap(({ connection }) => connection.subflows.flatMap(({ objection = "" }) => objection || []));
}

async function walk(world: World, air: Air): Promise<void> {
  const { lab, client, server } = world;
  const service = await server.listen({ address: "0.0.0.0" });
  const connection = await service.connect(client.netns, { to: "10.0.7.2" });
  const chatter = new Chatter(connection.client, connection.server, 2000, 20);
  await becomes(world, "10.0.7.1 active");
  for (let round = 0; round < 2; round++) {
    air.setSignal(-72);
    await becomes(world, "10.0.1.1 active,10.0.7.1 backup", RETURN);
    assert.match((await objections(world)).join(), /^its Wi-Fi signal is -\d+ dBm, below -60$/);
    const [air0, wire0] = [await carried(client, "wlan0"), await carried(client, "eth1")];
    assert.ok((await transfer(connection.server, connection.client, 1_000_000)).isIntact);
    const [byAir, byWire] = [(await carried(client, "wlan0")) - air0, (await carried(client, "eth1")) - wire0];
    assert.ok(byWire > 900_000 && byAir < byWire / 10, `${byAir} bytes by Wi-Fi, ${byWire} by wire`);
    // Between the bounds nothing moves: the reading is there, and it stays.
    air.setSignal(-58);
    await lab.waitFor(() => (air.signalOf(client) ?? -100) >= -59, RETURN, "a better signal");
    await lab.waitFor(async () => (await objections(world)).join().includes("used again from -55"), RETURN, "its word");
    await becomes(world, "10.0.1.1 active,10.0.7.1 backup");
    air.setSignal(-40);
    await becomes(world, "10.0.7.1 active", RETURN);
  }
  assert.ok(await chatter.end());
}

test("handover: the data leave a Wi-Fi that gets weak before it loses anything, and return", {
  timeout: patience(480_000),
}, async (context) => {
  if (process.env.WIFI !== "hwsim") return context.skip("it needs a machine for itself: npm run test:kernels -- wifi");
  assert.equal(whyNot(), undefined);
  await inWorld(1, async (world) => {
    const { lab, client, server } = world;
    const air = await wifi(lab, [
      [client, "10.0.7.1/24"],
      [server, "10.0.7.2/24"],
    ]);
    air.setSignal(-40);
    await client.ip(["route replace default via 10.0.7.2 dev wlan0 metric 50"]);
    const config = configFile("policy: { name: handover, signal: -60dBm, hold_down: 2s }\n");
    const daemon = await DaemonProcess.start(lab, client, "--config", config);
    await walk(world, air);
    // The radio goes, and with it what is known of it.
    await client.ip(["link set wlan0 down"]);
    assert.equal(air.signalOf(client), undefined);
    await becomes(world, "10.0.1.1 active", RETURN);
    assert.equal(await daemon.end(), 0, daemon.log);
    assert.doesNotMatch(daemon.log, /error|warn/i);
  });
});
