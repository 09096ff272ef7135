import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TrafficConnection, transfer } from "../../src/lab/index.ts";
import { type Difference, Player, RecordingReader } from "../../src/recording/index.ts";
import { configFile, connectionsOf, DaemonProcess, DEADLINE, pathsOf } from "./daemon-support.ts";
import { connected, inWorld, OUTAGES, type Outage, type World } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

const state = mkdtempSync(join(tmpdir(), "subflow-test-state-"));
process.env.SUBFLOW_STATE_DIRECTORY = state;
process.on("exit", () => rmSync(state, { recursive: true, force: true }));

/** What the black boxes of all daemons here hold, played. */
function playAll(): Player & { readonly differences: Difference[] } {
  const differences: Difference[] = [];
  const player = new Player({ onDifference: (difference) => differences.push(difference) });
  for (const directory of readdirSync(state).filter((name) => name.startsWith("black-box"))) {
    for (const file of readdirSync(join(state, directory)).sort()) {
      const reader = new RecordingReader();
      for (const entry of reader.push(readFileSync(join(state, directory, file)))) player.play(entry);
      for (const entry of reader.end()) player.play(entry);
    }
    rmSync(join(state, directory), { recursive: true });
  }
  return Object.assign(player, { differences });
}

async function exchange({ client, server }: TrafficConnection): Promise<void> {
  const reports = await Promise.all([transfer(client, server, 50_000), transfer(server, client, 50_000)]);
  assert.ok(reports.every(({ isIntact }) => isIntact));
}

/** The second link goes in these ways and comes back. The in-kernel path manager does not always use it again. */
async function flap(
  world: World,
  connection: TrafficConnection,
  ways: readonly Outage[],
  isOurs: boolean,
): Promise<void> {
  const { lab, client } = world;
  for (const way of ways) {
    await OUTAGES[way](world, 2, false);
    await exchange(connection);
    await OUTAGES[way](world, 2, true);
    await exchange(connection);
    if (!isOurs) continue;
    await lab.waitFor(() => pathsOf(client).length === 2, 2 * DEADLINE, `two subflows; now ${pathsOf(client)}`);
  }
}

for (const mode of ["kernel", "userspace"] as const) {
  kernelTest(`what a daemon was told and did plays to the same actions, over flaps, reloads, restarts: ${mode}`, () =>
    inWorld(2, async (world) => {
      const config = configFile(`path_manager: ${mode}\n`);
      const start = () => DaemonProcess.start(world.lab, world.client, "--config", config);
      let daemon = await start();
      const connection = await connected(world, mode);
      const isOurs = mode === "userspace";
      await flap(world, connection, Object.keys(OUTAGES) as Outage[], isOurs);
      writeFileSync(config, `path_manager: ${mode}\nlimits: { subflows: 3, add_addr_accepted: 1 }\n`);
      await daemon.ask("reload");
      if (isOurs) {
        const token = connectionsOf(world.client)[0]!.token;
        await daemon.ask("policy.set", { token, policy: "active-backup", parameters: { hold_down: "1s" } });
      }
      await flap(world, connection, ["carrier", "interface down"], false);
      await daemon.ask("recording");
      await daemon.end("SIGKILL");
      daemon = await start();
      await exchange(connection);
      assert.equal(await daemon.end(), 0, daemon.log);
      daemon = await start();
      await exchange(connection);
      connection.destroy();
      await world.lab.waitFor(() => pathsOf(world.client).length === 0, DEADLINE, "the end of the connection");
      assert.equal(await daemon.end(), 0, daemon.log);
      const { played, differences } = playAll();
      assert.deepEqual(differences, []);
      assert.equal(played.lives, 3);
      assert.equal(played.damages + played.lost, 0);
      assert.ok(played.facts > 100, `${played.facts} facts`);
      if (isOurs) assert.ok(played.events > 100 && played.actions > 10, JSON.stringify(played));
    }),
  );
}
