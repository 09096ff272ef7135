import assert from "node:assert/strict";
import { describe } from "node:test";
import type { Millis } from "../../src/types/index.ts";
import { type Manager, OUTAGES, type Outage, type Scenario, type Survival, survive } from "./outage-support.ts";
import { kernelTest } from "./support.ts";

const SOAK = process.env.SOAK !== undefined;

/** One of each: of outages, of numbers of links, of loads. */
const SAMPLE: readonly Scenario[] = [
  { outage: "carrier", links: 1, duration: 2000, isBusy: true },
  { outage: "carrier", links: 2, duration: 2000, isBusy: false },
  { outage: "carrier", links: 3, duration: 500, isBusy: true },
  { outage: "interface down", links: 1, duration: 2000, isBusy: false },
  { outage: "interface down", links: 2, duration: 2000, isBusy: true },
  { outage: "address gone and back", links: 1, duration: 2000, isBusy: true },
  { outage: "address gone and back", links: 2, duration: 500, isBusy: false },
  { outage: "another address", links: 1, duration: 2000, isBusy: true },
  { outage: "another address", links: 2, duration: 500, isBusy: false },
  { outage: "default route gone and back", links: 1, duration: 500, isBusy: false },
  { outage: "default route gone and back", links: 3, duration: 2000, isBusy: true },
];

/** All there are, the longest first. */
function matrix(): Scenario[] {
  const all: Scenario[] = [];
  for (const duration of [120_000, 30_000, 2000, 500]) {
    for (const outage of Object.keys(OUTAGES) as Outage[]) {
      for (const links of [1, 2, 3]) {
        for (const isBusy of [false, true]) all.push({ outage, links, duration, isBusy });
      }
    }
  }
  const only = process.env.OUTAGES?.split(",").map(Number);
  return only ? all.filter(({ duration }) => only.includes(duration)) : all;
}

/** Without us nothing leads to an address that is new: there is nothing to compare with. */
const WITHOUT_US = (outage: Outage): readonly Manager[] => (outage === "another address" ? [] : ["static", "nobody"]);

/** What ours may take after the return, where the kernel alone took so long: retransmissions double their distance. */
const tolerated = (alone: Millis): Millis => 2 * alone + 3000;

function assertNoHarm(ours: readonly [Manager, Survival][], alone: readonly [Manager, Survival][]): void {
  const bound = tolerated(Math.max(0, ...alone.map(([, { stall }]) => stall ?? Number.POSITIVE_INFINITY)));
  for (const [manager, { stall, isIntact, log }] of ours) {
    assert.ok(stall !== undefined, `${manager}: the connection hangs\n${log}`);
    assert.ok(isIntact, `${manager}: what arrived is not what was sent`);
    if (alone.length === 0) continue;
    assert.ok(
      stall <= bound,
      `${manager}: ${stall.toFixed(0)} ms after the return, ${bound.toFixed(0)} allowed\n${log}`,
    );
  }
}

describe("links go and return: a connection is no worse off than without us", { concurrency: SOAK ? 6 : 3 }, () => {
  for (const scenario of SOAK ? matrix() : SAMPLE) {
    const { outage, links, duration, isBusy } = scenario;
    kernelTest(`${outage}, all of ${links}, ${duration} ms, ${isBusy ? "busy" : "idle"}`, async (context) => {
      const play = (managers: readonly Manager[]) =>
        Promise.all(
          managers.map(async (manager) => [manager, await survive(scenario, manager)] as [Manager, Survival]),
        );
      const [ours, alone] = await Promise.all([play(["kernel", "userspace"]), play(WITHOUT_US(outage))]);
      const figures = [...ours, ...alone].map(([manager, { stall }]) => `${manager} ${stall?.toFixed(0) ?? "never"}`);
      context.diagnostic(`milliseconds after the return: ${figures.join(", ")}`);
      assertNoHarm(ours, alone);
    });
  }
});
