import assert from "node:assert/strict";
import { test } from "node:test";
import { CONFIG, ip } from "../../test/fixtures/host-facts.ts";
import { HostWorld } from "../../test/fixtures/host-world.ts";
import { type Address, ENDPOINT_FLAG } from "../types/index.ts";
import type { HostConfig } from "./config.ts";
import type { PathLosses } from "./losses.ts";
import { FIRST } from "./lossy-paths.ts";
import { planHost } from "./plan.ts";

const NONE: PathLosses = {
  address: ip("0.0.0.0"),
  sent: 1e6,
  resent: 0,
  judged: 1,
  lossy: 0,
  isFull: false,
  isCrowded: false,
  isNeeded: false,
};
const lossy = (address: Address, more: Partial<PathLosses> = {}): PathLosses => ({
  ...{ ...NONE, address, resent: 2e5, lossy: 1, ...more },
});

function started(config: Partial<HostConfig> = {}): HostWorld {
  const world = new HostWorld({ closesSubflows: true });
  world.feed({ type: "configured", config: { ...CONFIG, ...config } });
  world.pass(2000);
  return world;
}

const [WIFI, CELL] = planHost(started().facts, CONFIG, { ...started().memory }).endpoints.map(
  ({ address }) => address,
) as [Address, Address];
const backups = ({ facts }: HostWorld) =>
  facts.endpoints.filter(({ flags }) => flags & ENDPOINT_FLAG.backup).map(({ address }) => address);

test("a path that loses much is backup for a while, longer each time, and nothing is closed for it", () => {
  const world = started();
  const before = world.done.length;
  world.feed({ type: "losses", paths: [lossy(WIFI), { ...NONE, address: CELL }] });
  assert.deepEqual(backups(world), [WIFI]);
  assert.match(world.said.join(), /is backup for 5 s: 20 % of what was sent from there had to be sent again/);
  assert.match(world.engine.troubles.join(), /is backup for now: 20 %/);
  assert.match(world.engine.plan?.endpoints.find(({ address }) => address === WIFI)?.because ?? "", /backup for now/);
  world.pass(FIRST - 1);
  assert.deepEqual(backups(world), [WIFI]);
  world.pass(1);
  assert.deepEqual([backups(world), world.engine.troubles], [[], []]);
  // It is no better, which less is enough to tell.
  world.feed({ type: "losses", paths: [lossy(WIFI, { resent: 5.5e4 })] });
  world.pass(FIRST);
  assert.deepEqual(backups(world), [WIFI]);
  world.pass(FIRST);
  assert.deepEqual(backups(world), []);
  assert.deepEqual(
    world.commands(before).map((command) => command.split(" ")[6]),
    ["backup", "nobackup", "backup", "nobackup"],
  );
});

test("not while a transfer would have each path carry what it can, nor where a connection has no other", () => {
  const world = started();
  world.feed({ type: "losses", paths: [lossy(WIFI, { isFull: true })] });
  world.feed({ type: "losses", paths: [lossy(WIFI, { isCrowded: true })] });
  world.feed({ type: "losses", paths: [lossy(WIFI, { isNeeded: true })] });
  // One of many loses much: that is its peer's path.
  world.feed({ type: "losses", paths: [lossy(WIFI, { judged: 10, lossy: 1 })] });
  assert.deepEqual(backups(world), []);
  world.feed({ type: "losses", paths: [lossy(WIFI, { judged: 10, lossy: 6 })] });
  assert.deepEqual(backups(world), [WIFI]);
  world.feed({ type: "losses", paths: [{ ...NONE, address: WIFI, sent: 0, isFull: true }] });
  assert.deepEqual(backups(world), [], "a transfer that came later needs it");
});

test("one of them carries, however much both lose, and the lossy one when the other is gone", () => {
  const world = started();
  world.feed({ type: "losses", paths: [lossy(WIFI), lossy(CELL, { resent: 3e5 })] });
  assert.deepEqual(backups(world), [CELL]);
  world.feed({ type: "losses", paths: [lossy(WIFI, { isNeeded: false })] });
  const { addresses } = world.facts;
  assert.deepEqual(backups(world), [CELL]);
  world.become("loss", { addresses: addresses.filter(({ address }) => address !== WIFI) });
  assert.deepEqual(backups(world), []);
});

test("what is backup anyhow, what the configuration names itself and what is somebody else's is left alone", () => {
  const spared = started({ kernelPolicy: "active-backup" });
  const before = backups(spared);
  spared.feed({ type: "losses", paths: [lossy(WIFI), lossy(CELL)] });
  assert.deepEqual(backups(spared), before);
  const named = started({
    automatic: false,
    endpoints: [WIFI, CELL].map((address) => ({
      address,
      port: 0,
      id: 0,
      flags: ENDPOINT_FLAG.subflow,
      dev: undefined,
    })),
  });
  named.feed({ type: "losses", paths: [lossy(WIFI), lossy(CELL)] });
  assert.deepEqual([backups(named), named.engine.wantsLosses], [[], "never"]);
  const server = started({ profile: "server" });
  server.feed({ type: "losses", paths: [lossy(WIFI), lossy(CELL)] });
  assert.deepEqual([backups(server), server.engine.wantsLosses], [[], "never"]);
});

test("it is looked at always while something is backup, in doubt where there is a choice, and else never", () => {
  const world = started();
  assert.equal(world.engine.wantsLosses, "in doubt");
  world.feed({ type: "losses", paths: [lossy(WIFI)] });
  assert.equal(world.engine.wantsLosses, "always");
  world.become("loss", { addresses: [] });
  assert.equal(world.engine.wantsLosses, "never");
  const ofConnections = new HostWorld({ closesSubflows: false });
  ofConnections.feed({ type: "configured", config: CONFIG });
  ofConnections.pass(2000);
  assert.equal(ofConnections.engine.wantsLosses, "never");
});

test("what stays at the end carries again, and an heir knows nothing of it", () => {
  const world = started();
  world.feed({ type: "losses", paths: [lossy(WIFI)] });
  const heir = new HostWorld({ closesSubflows: true, facts: world.facts, saved: world.saved ?? {} });
  heir.feed({ type: "configured", config: CONFIG });
  assert.deepEqual(backups(heir), []);
  const bySubflows = new Set([WIFI, CELL]);
  world.feed({ type: "ending" });
  world.feed({ type: "restore", ofTable: true, inUse: { bySubflows, byConnections: bySubflows } });
  assert.deepEqual([backups(world), world.facts.endpoints.length], [[], 2]);
});
