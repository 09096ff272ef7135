import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address, CONFIG, FACTS, ip, link, route } from "../../test/fixtures/host-facts.ts";
import { connection, type Facts, HostWorld, lost } from "../../test/fixtures/host-world.ts";
import { type Address, ENDPOINT_FLAG, ERRNO } from "../types/index.ts";
import type { HostChange } from "./actions.ts";
import { AUDIT_INTERVAL } from "./engine.ts";
import { endpointKey } from "./facts.ts";
import { LONGEST as QUARANTINE_MAX } from "./lossy-paths.ts";
import { RETRY_MAX } from "./recovery.ts";
import { lifelinesOf, spareLastPaths } from "./survival.ts";

const LINKS = 3;
/** Their endpoints: one that nobody else would want, and one on an address that ours would be on. */
const THEIRS = [ip("10.9.9.9"), ip("10.0.0.1")];
const addressOf = (nth: number, last: number): Address => ip(`10.0.${nth}.${last}`);

/** What may happen to a host, one after the other. */
const happening = fc.oneof(
  fc.record({ type: fc.constant("carrier" as const), link: fc.nat(LINKS - 1), has: fc.boolean() }),
  fc.record({
    type: fc.constant("address" as const),
    link: fc.nat(LINKS - 1),
    last: fc.integer({ min: 1, max: 4 }),
    has: fc.boolean(),
  }),
  fc.record({ type: fc.constant("default" as const), link: fc.nat(LINKS - 1), has: fc.boolean() }),
  fc.record({
    type: fc.constant("connections" as const),
    on: fc.array(fc.array(fc.nat(LINKS - 1), { minLength: 1, maxLength: 2 }), { maxLength: 3 }),
  }),
  fc.record({ type: fc.constant("lost" as const), link: fc.nat(LINKS - 1) }),
  fc.record({
    type: fc.constant("losses" as const),
    links: fc.array(fc.record({ link: fc.nat(LINKS - 1), share: fc.constantFrom(0, 0.06, 0.5), isFull: fc.boolean() })),
  }),
  fc.record({ type: fc.constant("removed" as const), nth: fc.nat(3) }),
  fc.record({ type: fc.constant("pass" as const), time: fc.constantFrom(1, 15, 25, 1100, 2500, 70_000) }),
  fc.record({ type: fc.constant("sleep" as const), time: fc.constantFrom(500, 3_600_000) }),
  fc.record({ type: fc.constant("reload" as const), profile: fc.constantFrom("client" as const, "server" as const) }),
  fc.record({ type: fc.constant("refusals" as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({
    type: fc.constant("blindness" as const),
    question: fc.constantFrom("network.read", "table.read", "connections.read"),
  }),
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

class Blindness extends Error {}

/** A host with three links to which things happen. */
class Play {
  readonly world: HostWorld;
  readonly closesSubflows: boolean;
  readonly has = Array.from({ length: LINKS }, () => ({ carrier: true, defaultRoute: true, lasts: new Set([1]) }));
  profile: "client" | "server" = "client";

  constructor(closesSubflows: boolean) {
    this.closesSubflows = closesSubflows;
    const theirs = THEIRS.map((each, index) => ({
      id: index + 1,
      address: each,
      port: 0,
      flags: ENDPOINT_FLAG.backup | ENDPOINT_FLAG.subflow,
      interfaceIndex: 0,
    }));
    this.world = new HostWorld({
      closesSubflows,
      facts: { ...FACTS, ...this.network(), endpoints: theirs, sysctls: new Map() },
    });
    this.world.refuse = (change) => this.judge(change);
    this.world.feed({ type: "configured", config: CONFIG });
  }

  network(): Pick<Facts, "links" | "addresses" | "routes"> {
    return {
      links: this.has.map(({ carrier }, nth) => link(nth + 2, `eth${nth}`, { carrier })),
      addresses: this.has.flatMap(({ lasts }, nth) => [...lasts].map((last) => address(nth + 2, addressOf(nth, last)))),
      routes: this.has.flatMap(({ carrier, defaultRoute }, nth) =>
        carrier && defaultRoute ? [route(nth + 2, `10.0.${nth}.254`, nth * 100)] : [],
      ),
    };
  }

  /** No last path is taken, and nothing of theirs. */
  judge(change: HostChange, errno = 0): number {
    if (change.type === "endpoint.flags" || change.type === "endpoint.delete") {
      assert.ok(change.id > THEIRS.length, `${change.type} of an endpoint that is not ours`);
    }
    if (change.type !== "endpoint.delete" || !this.closesSubflows) return errno;
    const { spared } = spareLastPaths([change], lifelinesOf(this.world.connections), this.world.facts);
    assert.deepEqual(spared, [], "a connection loses its last path");
    return errno;
  }

  change(haste: "loss" | "gain"): void {
    const { rules, routes } = this.world.facts;
    const network = this.network();
    const ours = routes.filter(({ protocol }) => protocol !== 3);
    this.world.become(haste, { ...network, routes: [...network.routes, ...ours], rules });
  }

  happen(it: Happening): void {
    const { world } = this;
    switch (it.type) {
      case "carrier":
        this.has[it.link]!.carrier = it.has;
        return this.change(it.has ? "gain" : "loss");
      case "default":
        this.has[it.link]!.defaultRoute = it.has;
        return this.change(it.has ? "gain" : "loss");
      case "address":
        if (it.has) this.has[it.link]!.lasts.add(it.last);
        else this.has[it.link]!.lasts.delete(it.last);
        return this.change(it.has ? "gain" : "loss");
      case "connections":
        world.connections = it.on.map((links, token) => connection(token, ...links.map((nth) => addressOf(nth, 1))));
        return world.feed({ type: "events", events: [] });
      case "lost":
        return world.feed({ type: "events", events: [lost(addressOf(it.link, 1))] });
      case "losses": {
        const paths = it.links.map(({ link: nth, share, isFull }) => ({
          ...{ address: addressOf(nth, 1), sent: 1e6, resent: share * 1e6, judged: 1, lossy: 1, isFull },
          isCrowded: false,
          isNeeded: false,
        }));
        return world.feed({ type: "losses", paths });
      }
      case "removed": {
        const ours = world.facts.endpoints.filter(({ id }) => id > THEIRS.length);
        const goes = ours[it.nth % Math.max(1, ours.length)];
        return world.byHand(world.facts.endpoints.filter((each) => each !== goes));
      }
      case "pass":
        return world.pass(it.time);
      case "sleep":
        return world.sleep(it.time);
      case "reload":
        this.profile = it.profile;
        return world.feed({ type: "configured", config: { ...CONFIG, profile: it.profile } });
      case "refusals": {
        let left = it.count;
        world.refuse = (change) => this.judge(change, left-- > 0 ? ERRNO.EPERM : 0);
        return;
      }
      case "blindness": {
        let left = 1;
        world.onQuestion = (question) => {
          if (question === it.question && left-- > 0) throw new Blindness();
        };
      }
    }
  }

  /** A question that nobody can answer ends a turn, and no more. */
  play(happenings: readonly Happening[]): void {
    for (const each of happenings) {
      try {
        this.happen(each);
      } catch (error) {
        if (!(error instanceof Blindness)) throw error;
      }
    }
  }
}

/** From now on all goes well, for longer than anything waits. */
function calm(play: Play): void {
  const { world } = play;
  world.refuse = (change) => play.judge(change);
  world.onQuestion = () => undefined;
  world.connections = [];
  world.feed({ type: "configured", config: { ...CONFIG, profile: play.profile } });
  world.feed({ type: "events", events: [] });
  world.sleep(QUARANTINE_MAX);
  world.pass(2 * RETRY_MAX);
}

const plays = fc.record({
  closesSubflows: fc.boolean(),
  happenings: fc.array(happening, { maxLength: 60, size: "max" }),
});

function played({ closesSubflows, happenings }: typeof plays extends fc.Arbitrary<infer T> ? T : never): Play {
  const play = new Play(closesSubflows);
  play.play(happenings);
  return play;
}

test("law: whatever happens, the host becomes what the plan says, and then nothing is done any more", () => {
  fc.assert(
    fc.property(plays, (one) => {
      const play = played(one);
      const { world } = play;
      calm(play);
      const wanted = world.engine.plan!.endpoints.map(endpointKey);
      const there = world.facts.endpoints.filter(({ id }) => id > THEIRS.length).map(endpointKey);
      // One of theirs is where one of ours would be: then there is none of ours.
      const isTheirs = (key: string): boolean => THEIRS.some((each) => each === key);
      assert.deepEqual(there.sort(), wanted.filter((key) => !isTheirs(key)).sort());
      assert.ok(world.facts.endpoints.length <= FACTS.capacity.endpoints);
      const before = world.done.length;
      world.pass(10 * AUDIT_INTERVAL);
      assert.deepEqual(world.commands(before), []);
    }),
    { numRuns: 300 },
  );
});

test("law: however much is lost, what could carry is never all backup", () => {
  fc.assert(
    fc.property(plays, (one) => {
      const play = played(one);
      const { world } = play;
      world.onQuestion = () => undefined;
      world.refuse = () => 0;
      world.pass(AUDIT_INTERVAL);
      const { plan } = world.engine;
      const carriers = plan?.endpoints.filter(({ flags }) => (flags & ENDPOINT_FLAG.backup) === 0) ?? [];
      assert.ok(carriers.length > 0 || plan?.endpoints.length === 0, "nothing carries");
    }),
    { numRuns: 300 },
  );
});

test("law: the end puts everything back but theirs, in one life or in two", () => {
  fc.assert(
    fc.property(plays, fc.boolean(), (one, isKilled) => {
      const { world } = played({ ...one, closesSubflows: true });
      world.onQuestion = () => undefined;
      world.refuse = () => 0;
      const heir = isKilled ? new HostWorld({ facts: world.facts, saved: world.saved ?? {} }) : world;
      if (isKilled) heir.feed({ type: "configured", config: CONFIG });
      heir.feed({ type: "ending" });
      heir.feed({ type: "restore", ofTable: true, inUse: { bySubflows: new Set(), byConnections: new Set() } });
      assert.deepEqual(heir.engine.restored, { isWhole: true, isLeft: false });
      assert.deepEqual(heir.facts.endpoints.map(({ address: each }) => each).sort(), [...THEIRS].sort());
      assert.deepEqual([heir.facts.rules, heir.facts.limits], [[], FACTS.limits]);
    }),
    { numRuns: 300 },
  );
});

test("law: the same facts at the same times, the same actions", () => {
  fc.assert(
    fc.property(plays, (one) => {
      const [first, second] = [played(one).world, played(one).world];
      assert.deepEqual(second.order, first.order);
      assert.deepEqual(second.done, first.done);
      assert.deepEqual(second.said, first.said);
    }),
    { numRuns: 100 },
  );
});
