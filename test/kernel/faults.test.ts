import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { hostConfig, loadConfig } from "../../src/config/index.ts";
import { ask, runtimeFiles } from "../../src/control/index.ts";
import { Random } from "../../src/sim/index.ts";
import { configFile, DaemonProcess, DEADLINE } from "./daemon-support.ts";
import type { Fault } from "./fault-child.ts";
import { defaultRoute, difference, type PathManager, type ThreeLinks, threeLinks } from "./host-support.ts";
import { kernelTest } from "./support.ts";
import { type Tables, tablesOf } from "./tables.ts";

/** Something of every kind that is changed. */
const CONFIG = configFile(`
profile: server
routing: always
behind_load_balancer: true
endpoints: [{ address: 10.0.1.1, port: 7777, flags: [signal] }]
`);

/** Of each kind so many, chosen by seed; every one with SOAK. */
const SAMPLE = process.env.SOAK === undefined ? 5 : Number.POSITIVE_INFINITY;
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 32);

interface Play extends ThreeLinks {
  readonly pathManager: PathManager;
  readonly before: Tables;
}

function launch({ lab, host, pathManager }: Play, fault: Fault): DaemonProcess {
  return DaemonProcess.launchScript(lab, host, "fault-child.js", JSON.stringify(fault), CONFIG, pathManager);
}

/** What happens in a life: the network changes, the configuration is read again, somebody asks. */
async function deeds({ host }: Play, daemon: DaemonProcess): Promise<void> {
  await host.ip(["address del 10.0.2.1/24 dev eth2"]);
  daemon.signal("SIGHUP");
  await ask("hello", {}, { netns: host.netns }).catch(() => undefined);
  await host.ip(["address add 10.0.2.1/24 dev eth2", defaultRoute(2)]);
}

/** It serves, and has everything as the plan says. */
async function serves({ lab, host, pathManager }: Play, daemon: DaemonProcess): Promise<boolean> {
  let left = ["nothing was seen yet"];
  const isRight = async (): Promise<boolean> => {
    if (daemon.status !== undefined) return true;
    left = await difference(host, hostConfig(loadConfig(CONFIG).config, pathManager), pathManager).catch((error) => [
      String(error),
    ]);
    return left.length === 0 && (await daemon.hello()) !== undefined;
  };
  await lab.waitFor(isRight, DEADLINE, "a daemon that serves").catch(() => {
    assert.fail(`not as planned: ${left.join("; ")}\n${daemon.log}`);
  });
  return daemon.status === undefined;
}

/** Alive, or ended with everything put back; after SIGTERM everything is in any case. @returns its log */
async function live(play: Play, fault: Fault): Promise<string> {
  const daemon = launch(play, fault);
  const isReady = await daemon.ready().then(
    () => true,
    () => false,
  );
  if (isReady) await deeds(play, daemon);
  const wasAlive = isReady && (await serves(play, daemon));
  const what = `${JSON.stringify(fault)}, seed ${SEED}:\n`;
  const status = await daemon.end();
  if (wasAlive) assert.equal(status, 0, `${what}${daemon.log}`);
  else assert.ok(status === 1 || status === 70, `status ${status}, ${what}${daemon.log}`);
  // Where the daemon ended early, the network is put back by hand.
  await play.host.ip(["address replace 10.0.2.1/24 dev eth2", defaultRoute(2)]);
  // A lock file that was never locked is anybody's: it stays, and keeps nobody out.
  if (!/path manager:/.test(daemon.log)) rmSync(runtimeFiles(play.host.netns).lock, { force: true });
  assert.deepEqual(await tablesOf(play.host, play.pathManager), play.before, `${what}${daemon.log}`);
  return daemon.log;
}

async function play(pathManager: PathManager, run: (play: Play) => Promise<void>): Promise<void> {
  await threeLinks(async (world) => {
    // The address comes and goes: its place among the others, and its route's metric, are those of the last time.
    await world.host.ip(["address del 10.0.2.1/24 dev eth2", "address add 10.0.2.1/24 dev eth2", defaultRoute(2)]);
    world.host.sysctl("net.ipv4.conf.eth2.rp_filter", 1);
    await run({ ...world, pathManager, before: await tablesOf(world.host, pathManager) });
  });
}

/** Which of `count`: all of them, or a sample by seed. */
function chosen(count: number, random: Random): number[] {
  const all = Array.from({ length: count }, (_, nth) => nth);
  while (all.length > SAMPLE) all.splice(random.below(all.length), 1);
  return all;
}

for (const pathManager of ["kernel", "userspace"] as const) {
  kernelTest(`each system call of a life fails once: alive, or ended with everything put back, ${pathManager}`, () =>
    play(pathManager, async (scene) => {
      const random = new Random(SEED);
      const log = await live(scene, { kind: "none", nth: 0, seed: 0 });
      const counts = JSON.parse(/^counts (.*)$/m.exec(log)?.[1] ?? "{}") as Record<
        "native" | "file" | "datagram",
        number
      >;
      let failed = 0;
      for (const kind of ["native", "file", "datagram"] as const) {
        assert.ok(counts[kind] > 5, `a life has ${counts[kind]} of kind ${kind}`);
        for (const nth of chosen(counts[kind], random)) {
          if (/^fault: /m.test(await live(scene, { kind, nth, seed: random.below(2 ** 16) }))) failed++;
        }
      }
      console.log(`${pathManager}: ${JSON.stringify(counts)} in a life; ${failed} were made to fail`);
      assert.ok(failed >= 8);
    }),
  );

  for (const kind of ["fault", "rejection"] as const) {
    kernelTest(
      `a fault of our own (${kind}) puts everything back, says why, and has its own status, ${pathManager}`,
      () =>
        play(pathManager, async (scene) => {
          const daemon = await launch(scene, { kind, nth: 0, seed: 0 }).ready();
          daemon.signal("SIGUSR2");
          await scene.lab.waitFor(() => daemon.status !== undefined, DEADLINE, "its end");
          assert.equal(daemon.status, 70);
          assert.match(daemon.log, /a fault of the daemon, please report it: .*(reading 'value'|rejected)/);
          assert.match(daemon.log, /TypeError: .*fault-child/s, "with the place");
          assert.deepEqual(await tablesOf(scene.host, pathManager), scene.before);
        }),
    );
  }
}
