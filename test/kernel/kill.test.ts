import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { hostConfig, loadConfig } from "../../src/config/index.ts";
import { rpFilterName } from "../../src/host/index.ts";
import type { Host } from "../../src/lab/index.ts";
import { MptcpPm, Rtnl } from "../../src/netlink/index.ts";
import { configFile, DaemonProcess, DEADLINE } from "./daemon-support.ts";
import { defaultRoute, difference, type PathManager, type ThreeLinks, threeLinks } from "./host-support.ts";
import { kernelTest } from "./support.ts";
import { type Tables, tablesOf } from "./tables.ts";

/** Something of every kind that is changed: endpoints, one with a listener, limits, rules, tables, sysctls of either sort. */
const CONFIG = configFile(`
profile: server
routing: always
behind_load_balancer: true
endpoints: [{ address: 10.0.1.1, port: 7777, flags: [signal] }]
`);

/** What an administrator had before: one endpoint that the plan has too, one that it has not, a rule, a strict filter. */
const BEFORE = [
  "mptcp endpoint add 10.0.3.1 dev eth3 signal",
  "mptcp endpoint add 10.0.9.9 signal",
  "rule add from 10.0.9.9 lookup 99 pref 99",
];

/** Two networks between which eth2 changes: another address, another gateway. */
const NETWORKS = [
  ["address del 10.0.2.9/24 dev eth2", "address add 10.0.2.1/24 dev eth2", defaultRoute(2)],
  [
    "address del 10.0.2.1/24 dev eth2",
    "address add 10.0.2.9/24 dev eth2",
    "route replace default via 10.0.2.77 dev eth2 metric 200",
  ],
] as const;

/** What an undisturbed life is like: the tables without and with a daemon in each network, and how long it takes. */
interface Calm {
  readonly without: readonly Tables[];
  readonly during: readonly Tables[];
  /** Milliseconds until its first word, which comes before its first change; until it is ready; until SIGTERM ended it. */
  readonly word: number;
  readonly ready: number;
  readonly end: number;
}

interface Play extends ThreeLinks {
  readonly pathManager: PathManager;
  readonly launch: () => DaemonProcess;
}

async function liveCalmly({ lab, host, pathManager, launch }: Play): Promise<Calm> {
  const calm = { without: [] as Tables[], during: [] as Tables[], word: 0, ready: 0, end: 0 };
  for (const network of [1, 0]) {
    await host.ip(NETWORKS[network]!);
    calm.without[network] = await tablesOf(host, pathManager);
    const start = performance.now();
    const daemon = launch();
    await lab.waitFor(() => daemon.log !== "", DEADLINE, "the daemon's first word");
    calm.word = performance.now() - start;
    await daemon.ready();
    calm.ready = performance.now() - start;
    calm.during[network] = await tablesOf(host, pathManager);
    const end = performance.now();
    await daemon.end();
    calm.end = performance.now() - end;
    assert.deepEqual(await tablesOf(host, pathManager), calm.without[network]);
  }
  return calm;
}

/** A change of the network is over by then, with what it settles for. Milliseconds. */
const CHANGE = 50;
const STAGES = ["start", "change", "exit"] as const;
/** When a stage is cut short: after a share of its time, or as soon as so many changes of the kernel's tables were seen. */
const POINTS = [{ share: 0.1 }, { changes: 1 }, { changes: 6 }, { share: 0.8 }];
type Point = (typeof POINTS)[number];

/** Ends a life in a stage. @returns its log */
async function killed(
  { host, launch }: Play,
  stage: (typeof STAGES)[number],
  point: Point,
  network: number,
  calm: Calm,
) {
  const spans = { start: [0.9 * calm.word, calm.ready], change: [0, CHANGE], exit: [0, calm.end] } as const;
  const [from, to] = spans[stage];
  const daemon = launch();
  if (stage !== "start") await daemon.ready();
  using changes = new Changes(host);
  const change = stage === "change" ? host.ip(NETWORKS[network]!) : undefined;
  if (stage === "exit") daemon.signal("SIGTERM");
  if (point.changes === undefined) await sleep(from + point.share * (to - from));
  else changes.await(point.changes, 2 * to);
  await daemon.end("SIGKILL");
  await change;
  return daemon.log;
}

/** Watches the tables closer than any event loop: the whole of a daemon's deeds takes a millisecond or two. */
class Changes implements Disposable {
  readonly #host: Host;
  readonly #pm: MptcpPm;
  readonly #rtnl: Rtnl;

  constructor(host: Host) {
    this.#host = host;
    this.#pm = MptcpPm.open({ netns: host.netns });
    this.#rtnl = Rtnl.open({ netns: host.netns });
  }

  [Symbol.dispose](): void {
    this.#pm.close();
    this.#rtnl.close();
  }

  /** Returns after so many changes, or after so many milliseconds without them. */
  await(count: number, deadline: number): void {
    const end = performance.now() + deadline;
    for (let seen = 0, last = this.#glimpse(); seen < count && performance.now() < end; ) {
      const now = this.#glimpse();
      if (now !== last) seen++;
      last = now;
    }
  }

  #glimpse(): string {
    // Not the routes, which are many and come with the rules: a look must not take longer than a deed.
    const rules = this.#rtnl.rules().length;
    return JSON.stringify([this.#pm.endpoints(), this.#pm.limits(), rules, this.#host.sysctl(rpFilterName("eth2"))]);
  }
}

/** The next life has everything as if nothing had happened, and leaves everything as it was before the first one. */
async function mended({ host, pathManager, launch }: Play, network: number, calm: Calm, what: string): Promise<void> {
  const daemon = await launch().ready();
  assert.deepEqual(await tablesOf(host, pathManager), calm.during[network], what);
  assert.deepEqual(await difference(host, hostConfig(loadConfig(CONFIG).config, pathManager), pathManager), [], what);
  await daemon.end();
  assert.deepEqual(await tablesOf(host, pathManager), calm.without[network], what);
}

for (const pathManager of ["kernel", "userspace"] as const) {
  kernelTest(
    `kill -9 at any point of a life, and another life: nothing twice, nothing lost, ${pathManager} path manager`,
    () =>
      threeLinks(async (world) => {
        const { lab, host } = world;
        host.sysctl("net.ipv4.conf.eth2.rp_filter", 1);
        await host.ip(BEFORE);
        const launch = () => DaemonProcess.launch(lab, host, "--path-manager", pathManager, "--config", CONFIG);
        const play = { ...world, pathManager, launch };
        const calm = await liveCalmly(play);
        let network = 0;
        for (const stage of STAGES) {
          for (const point of POINTS) {
            if (stage === "change") network = 1 - network;
            const log = await killed(play, stage, point, network, calm);
            await mended(play, network, calm, `killed in ${stage} at ${JSON.stringify(point)}, after:\n${log}`);
          }
        }
      }),
  );
}
