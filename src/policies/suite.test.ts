import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Action,
  type ConnectionExplanation,
  Engine,
  type EngineEvent,
  type EngineOptions,
  type Policy,
  Pump,
} from "../engine/index.ts";
import { type Address, ENDPOINT_FLAG, familyOf, type Path, sameAddress, unmap } from "../types/index.ts";
import { policies } from "./index.ts";

// What every policy must keep to, whatever it decides. A policy's own test adds only what is special to it.

const { signal, subflow, backup, fullmesh, laminar } = ENDPOINT_FLAG;
const TOKEN = 1;

const address = (host: string, link: number) => `10.0.${link}.${host}` as Address;
const flags = fc.constantFrom(
  0,
  signal,
  subflow,
  subflow | backup,
  subflow | fullmesh,
  signal | subflow,
  signal | backup,
  laminar,
  fullmesh,
);
const endpoint = fc.record({ link: fc.nat(5), flags }).map((e) => ({ address: address("2", e.link), flags: e.flags }));
const limits = fc.record({ subflows: fc.nat(8), addAddrAccepted: fc.nat(8) });
const path = fc
  .record({ server: fc.boolean(), link: fc.nat(2), mapped: fc.boolean() })
  .map(({ server, link, mapped }) => {
    const text = (a: Address) => (mapped ? `::ffff:${a}` : a) as Address;
    const [mine, theirs] = server ? [80, 40_000] : [40_000, 80];
    const initial: Path = {
      local: { address: text(address("2", link)), port: mine },
      remote: { address: text(address("1", 0)), port: theirs },
    };
    return { side: server ? ("server" as const) : ("client" as const), path: initial };
  });
const happening: fc.Arbitrary<EngineEvent> = fc.oneof(
  fc.record({ link: fc.nat(5), id: fc.integer({ min: 0, max: 6 }) }).map(
    ({ link, id }): EngineEvent => ({
      type: "address.announced",
      token: TOKEN,
      remoteId: id,
      address: address("1", link),
      port: 80,
    }),
  ),
  fc.array(fc.tuple(fc.nat(7), fc.integer({ min: -100, max: -30 })), { maxLength: 4 }).map((signals): EngineEvent => {
    return { type: "host.signals", signals: new Map(signals.map(([n, dbm]) => [address("2", n), dbm])) };
  }),
  fc.nat(6).map((remoteId): EngineEvent => ({ type: "address.removed", token: TOKEN, remoteId })),
  endpoint.map((e): EngineEvent => ({ type: "command.received", request: 1, command: { type: "endpoint.add", ...e } })),
  fc
    .nat(8)
    .map((id): EngineEvent => ({ type: "command.received", request: 1, command: { type: "endpoint.delete", id } })),
  fc
    .record({ id: fc.nat(8), flags: fc.constantFrom(0, backup, fullmesh) })
    .map((c): EngineEvent => ({ type: "command.received", request: 1, command: { type: "endpoint.change", ...c } })),
  limits.map((l): EngineEvent => ({ type: "command.received", request: 1, command: { type: "limits.set", ...l } })),
);
const life = fc.record({
  endpoints: fc.array(endpoint, { maxLength: 8 }),
  limits,
  initial: path,
  deny: fc.boolean(),
  events: fc.array(happening, { maxLength: 30 }),
});

/** What a kernel tells of an action where all succeeds; `port` is the next one that it gives away. */
function outcomesOf(action: Action, port: { next: number }): EngineEvent[] {
  if (action.type === "command.answer") return [];
  if (action.type === "route.query") {
    return [{ type: "action.done", action, source: address("2", Number(action.remote.address.split(".")[2])) }];
  }
  const done: EngineEvent = { type: "action.done", action };
  if (action.type === "subflow.create") {
    const { localId, remoteId, remote } = action;
    const created = { local: { ...action.local, port: port.next++ }, remote };
    return [done, { type: "subflow.established", token: TOKEN, path: created, localId, remoteId, backup: false }];
  }
  if (action.type !== "subflow.destroy") return [done];
  return [done, { type: "subflow.closed", token: TOKEN, path: action.path, localId: 0, remoteId: 0 }];
}

function live(options: EngineOptions, events: readonly EngineEvent[], each?: (engine: Engine) => void) {
  const engine = new Engine(options);
  const log: Action[] = [];
  const port = { next: 50_000 };
  let now = 0;
  const pump = new Pump(engine, {
    now: () => now,
    run: (actions) => {
      log.push(...actions);
      return actions.flatMap((action) => outcomesOf(action, port));
    },
  });
  for (const event of events) {
    now += 10;
    pump.feed(event);
    each?.(engine);
  }
  for (let next = engine.nextTick; next !== undefined; next = engine.nextTick) {
    now = Math.max(now, next);
    pump.feed({ type: "tick" });
  }
  assert.equal(engine.snapshot().counters.refusedPlans, 0);
  return { engine, log, now };
}

type Life = typeof life extends fc.Arbitrary<infer T> ? T : never;

const eventsOf = ({ endpoints, limits, initial, deny, events }: Life): EngineEvent[] => {
  const unique = endpoints.filter((e, i) => endpoints.findIndex((other) => other.address === e.address) === i);
  return [
    { type: "config.changed", endpoints: unique, limits },
    { type: "connection.established", token: TOKEN, denyJoinId0: deny, ...initial },
    ...events,
  ];
};

for (const policy of policies) suite(policy);

/** What is wished persistently is explained pair by pair: each that is there has a subflow or a reason. */
function checkPairs(engine: Engine, { connection, leftOut }: ConnectionExplanation): void {
  const opening = ENDPOINT_FLAG.subflow | ENDPOINT_FLAG.fullmesh | ENDPOINT_FLAG.laminar;
  const locals = engine.endpoints().filter(({ flags: has, port }) => has & opening && port === 0);
  const { initial, denyJoinId0, subflows, announced } = connection;
  for (const { address: local } of locals) {
    if (familyOf(unmap(local)) !== familyOf(unmap(initial.remote.address)) || denyJoinId0) continue;
    const exists = subflows.some(
      ({ path }) => sameAddress(path.local.address, local) && sameAddress(path.remote.address, initial.remote.address),
    );
    const reasons = leftOut.filter((left) => left.what === "pair" && left.address === local);
    const told = reasons.filter(({ remote }) => remote && sameAddress(remote, initial.remote.address));
    assert.equal(told.length, exists ? 0 : 1, `${local}: ${JSON.stringify(leftOut)}`);
  }
  for (const { address: missing, flags: has } of engine.endpoints()) {
    const isAnnounced = announced.some((a) => a.address === missing);
    const told = leftOut.some((left) => left.what === "announcement" && left.address === missing);
    // A policy may announce others as well.
    assert.ok(!(told && isAnnounced), `announcement ${missing}`);
    if (has & signal) assert.equal(told, !isAnnounced, `announcement ${missing}`);
  }
  assert.ok(leftOut.every((r) => r.reason !== "" && r.remedy !== ""));
}

function suite(policy: Policy): void {
  const options: EngineOptions = { policies: [policy] };

  test(`${policy.name}: when all is done, a tick gives no action, and one more neither`, () => {
    fc.assert(
      fc.property(life, (one) => {
        const { engine, now } = live(options, eventsOf(one));
        assert.equal(engine.nextTick, undefined);
        assert.deepEqual(engine.handle({ type: "tick" }, now + 1), []);
      }),
    );
  });

  test(`${policy.name}: the same events give the same actions`, () => {
    fc.assert(
      fc.property(life, (one) => {
        assert.deepEqual(live(options, eventsOf(one)).log, live(options, eventsOf(one)).log);
      }),
    );
  });

  test(`${policy.name}: planning twice gives the same plan`, () => {
    const watched: Policy = {
      ...policy,
      plan(view, memory, occasion, values) {
        const plan = policy.plan(view, memory, occasion, values);
        assert.deepEqual(policy.plan(view, memory, occasion, values), plan);
        return plan;
      },
    };
    fc.assert(fc.property(life, (one) => void live({ policies: [watched] }, eventsOf(one))));
  });

  test(`${policy.name}: no join to id 0 where the peer denies it, none that crosses families, no id 0 announced`, () => {
    fc.assert(
      fc.property(life, (one) => {
        const { log } = live(options, eventsOf(one));
        for (const action of log) {
          if (action.type === "subflow.create") {
            assert.ok(!(one.deny && action.remoteId === 0));
            assert.equal(action.local.address.includes(":"), action.remote.address.includes(":"));
            assert.ok(action.localId !== 0 || sameAddress(action.local.address, one.initial.path.local.address));
          } else if (action.type === "address.announce") assert.ok(action.localId > 0 && action.localId < 256);
        }
      }),
    );
  });

  test(`${policy.name}: what is absent has a reason, what is there has none`, () => {
    fc.assert(
      fc.property(life, (one) => {
        const { engine } = live(options, eventsOf(one));
        const why: ConnectionExplanation | undefined = engine.why(TOKEN, 0);
        assert.ok(why);
        const { connection, leftOut } = why;
        const { subflows, announced } = connection;
        if (policy.tries !== "once") {
          checkPairs(engine, why);
          return;
        }
        for (const { id, address: missing, flags: has } of engine.endpoints()) {
          const reasons = leftOut.filter((left) => left.address === missing && left.what !== "remote");
          const connected = subflows.some((s) => sameAddress(s.path.local.address, missing));
          const isAnnounced = announced.some((a) => a.address === missing);
          assert.equal(
            reasons.some((r) => r.what === "subflow"),
            (has & subflow) !== 0 && !connected,
            `subflow ${id}`,
          );
          assert.equal(
            reasons.some((r) => r.what === "announcement"),
            (has & signal) !== 0 && !isAnnounced,
            `announcement ${id}`,
          );
          assert.ok(reasons.every((r) => r.reason !== "" && r.remedy !== ""));
        }
      }),
    );
  });
}
