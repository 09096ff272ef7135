/**
 * What the policy `resilient` costs: `npm run bench -- cost [connections]`, default 1,000. Processor time of the daemon with so many connections at rest,
 * with one of them sending all it can, and with all of them saying something each second; SYNs of one connection on a path that is dead
 * for good, by a clock that jumps.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { transfer } from "../src/lab/index.ts";
import { MptcpPm } from "../src/netlink/index.ts";
import { resilient } from "../src/policies/index.ts";
import { Stage } from "../src/testing/index.ts";
import { Programs } from "./_programs.ts";
import { printMachine, processorTime } from "./_support.ts";
import { joined, line, makeWorld, SERVER } from "./_world.ts";

const COUNT = Number(process.argv[2] ?? 1000);
const SPAN = 30_000;
const HOUR = 3_600_000;
/** A SYN is sent at once, after 1 and after 3 s; then the attempt ends (Timing.attemptMax). */
const SYNS_PER_ATTEMPT = 3;
const CONFIG = ["policy: resilient", "automatic: false", "endpoints: [{ address: 10.0.2.1, flags: [subflow] }]"];

async function spent(pid: number, what: string, during: Promise<unknown> = sleep(SPAN)): Promise<void> {
  const [time, start] = [processorTime(pid), performance.now()];
  await during;
  const share = (processorTime(pid) - time) / (performance.now() - start);
  console.log(`${what}: ${(share * 100).toFixed(2)} % of a processor`);
}

function deadPath(): void {
  const stage = new Stage({ policy: resilient });
  stage.pass(1000);
  stage.path(1, 0, "silent");
  stage.reset(1, 0);
  const from = stage.now;
  stage.pass(3 * HOUR);
  const attempts = stage.attempts(1, 0).map((at) => at - from);
  for (const hour of [0, 2]) {
    const count = attempts.filter((at) => at >= hour * HOUR && at < (hour + 1) * HOUR).length;
    console.log(
      `a dead path, hour ${hour + 1}: ${count} attempts, ${count * SYNS_PER_ATTEMPT} SYNs of each connection`,
    );
  }
}

printMachine();
deadPath();
using programs = new Programs();
await using world = await makeWorld("subflow", programs, CONFIG);
using pm = MptcpPm.open({ netns: world.client.netns });
const daemon = world.process?.pid ?? 0;
await sleep(20_000);
await spent(daemon, "no connection");
const holder = world.client.spawn([programs.program("traffic"), "hold", ...SERVER, String(COUNT)], {
  stdio: ["pipe", "pipe", "inherit"],
});
await line(holder);
await joined(pm, COUNT);
// Its memory is tidied up when the events are over for a while, once.
await sleep(45_000);
await spent(daemon, `${COUNT} connections at rest`);
const service = await world.server.listen({ address: "0.0.0.0" });
const busy = await service.connect(world.client.netns, { to: "10.0.1.2" });
const stop = performance.now() + SPAN;
const flood = async (): Promise<void> => {
  while (performance.now() < stop) await transfer(busy.server, busy.client, 4_000_000);
};
await spent(daemon, `the same, and one that sends all it can`, flood());
busy.destroy();
