import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Action, Engine, type EngineEvent } from "../../src/engine/index.ts";
import { policies } from "../../src/policies/index.ts";
import { Alternative, type Deed, type Entry, type Otherwise, Player } from "../../src/recording/index.ts";
import { type Address, ENDPOINT_FLAG, type Path } from "../../src/types/index.ts";

const at = (text: string): Address => text as Address;
const end = (address: string, port: number) => ({ address: at(address), port });
const TOKEN = 7;
const INITIAL: Path = { local: end("10.0.1.1", 40_000), remote: end("10.0.1.2", 443) };
const SECOND: Path = { local: end("10.0.2.1", 50_000), remote: end("10.0.1.2", 443) };
const of = (path: Path) => ({ token: TOKEN, path, localId: 2, remoteId: 0, backup: false });

/** What a daemon with policy `resilient` recorded: two links, of which the second is lost by its peer and comes back. */
function recorded(): Entry[] {
  const entries: Entry[] = [
    {
      ...{
        type: "begin",
        at: 0,
        epoch: 1e12,
        life: "a",
        part: 0,
        before: 0,
        version: "1",
        kernel: "6.18",
        pathManager: "userspace",
      },
      engine: { setUp: [] },
    },
  ];
  const engine = new Engine({ policies });
  const tell = (now: number, event: EngineEvent): readonly Action[] => {
    const actions = engine.handle(event, now);
    entries.push({ type: "event", at: now, event, actions });
    return actions;
  };
  const endpoints = ["10.0.1.1", "10.0.2.1"].map((address) => ({ address: at(address), flags: ENDPOINT_FLAG.subflow }));
  tell(0, { type: "config.changed", policy: "resilient", endpoints, limits: { subflows: 8, addAddrAccepted: 8 } });
  tell(0, { type: "host.addresses", addresses: [at("10.0.1.1"), at("10.0.2.1")] });
  const facts = { token: TOKEN, side: "client", path: INITIAL, denyJoinId0: false } as const;
  tell(10, { type: "connection.created", ...facts });
  for (const action of tell(10, { type: "connection.established", ...facts }))
    tell(10, { type: "action.done", action });
  tell(30, { type: "subflow.established", ...of(SECOND) });
  tell(2000, { type: "subflow.closed", ...of(SECOND), errno: 110 });
  for (let now = engine.nextTick; now !== undefined && now < 10_000; now = engine.nextTick) {
    for (const action of tell(now, { type: "tick" })) {
      tell(now, { type: "action.done", action });
      if (action.type === "subflow.create")
        tell(now + 20, { type: "subflow.established", ...of({ ...SECOND, local: end("10.0.2.1", 50_001) }) });
    }
  }
  tell(20_000, { type: "connection.closed", token: TOKEN });
  return entries;
}

function otherwise(policy: string, given = {}): Deed[] {
  const deeds: Deed[] = [];
  const change: Otherwise = { treatment: { policy, given }, host: (config) => config };
  const alternative = new Alternative({ otherwise: change, onDeed: (deed) => deeds.push(deed) });
  for (const entry of recorded()) alternative.play(entry);
  return deeds;
}

const types = (deeds: readonly Deed[], isNow: boolean): string[] =>
  deeds.filter((deed) => deed.isNow === isNow).flatMap(({ actions }) => actions.map(({ type }) => type));

describe("what another policy would have done", () => {
  test("the recording is one that plays, and in which something was done again", () => {
    const player = new Player({ onDifference: (difference) => assert.fail(JSON.stringify(difference)) });
    for (const entry of recorded()) player.play(entry);
    assert.deepEqual(types(otherwise("resilient"), false), ["subflow.create", "subflow.create"]);
  });

  test("the same policy does the same, at the same times", () => {
    const deeds = otherwise("resilient");
    assert.deepEqual(types(deeds, true), types(deeds, false));
    const times = (isNow: boolean) => deeds.filter((deed) => deed.isNow === isNow).map((deed) => deed.at);
    for (const [index, time] of times(true).entries()) assert.ok(Math.abs(time - times(false)[index]!) < 1000);
  });

  test("none opens nothing, and hears nothing of what was not opened", () => {
    assert.deepEqual(types(otherwise("none"), true), []);
  });

  test("active-backup opens it as backup", () => {
    const [first] = otherwise("active-backup").filter(({ isNow }) => isNow);
    assert.ok(first?.actions[0]?.type === "subflow.create" && first.actions[0].backup);
  });

  test("a policy that tries once does not try again what the network closed", () => {
    const creates = types(otherwise("standard"), true).filter((type) => type === "subflow.create");
    assert.equal(creates.length, 1);
  });

  test("a join that was never tried is established as long as its address is there, and is told of", () => {
    const events: EngineEvent[] = [];
    const change: Otherwise = { treatment: { policy: "ndiffports", given: {} }, host: (config) => config };
    const alternative = new Alternative({
      ...{ otherwise: change, onDeed: () => undefined },
      onEvent: (event) => events.push(event),
    });
    for (const entry of recorded()) alternative.play(entry);
    const joined = events.filter(({ type }) => type === "subflow.established");
    assert.ok(joined.length > 0);
    for (const event of joined) assert.ok(event.type === "subflow.established" && event.path.local.port > 60_000);
  });
});
