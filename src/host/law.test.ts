import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address, CONFIG, FACTS, ip, link, NOTHING, route } from "../../test/fixtures/host-facts.ts";
import { changed, type Facts } from "../../test/fixtures/host-world.ts";
import type { Address } from "../types/index.ts";
import * as host from "./index.ts";

/** What the kernel would have after the changes, and what is remembered. */
function applied(before: Facts, { foreign, yielded, ...memory }: host.HostMemory, changes: readonly host.HostChange[]) {
  const after = new host.Memory({ owned: [...memory.owned], sysctls: Object.fromEntries(memory.sysctls), clean: true });
  after.rememberOriginals(changes, before.limits);
  after.rememberOwnership(changes, []);
  return { facts: changes.reduce(changed, before), memory: { ...after, foreign, yielded, limits: memory.limits } };
}

const someHost = fc.record({
  carriers: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  defaults: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  addresses: fc.array(fc.record({ link: fc.nat(3), last: fc.integer({ min: 1, max: 9 }) }), { maxLength: 14 }),
  foreign: fc.array(fc.record({ link: fc.nat(3), last: fc.integer({ min: 1, max: 9 }) }), { maxLength: 3 }),
  profile: fc.constantFrom("client" as const, "server" as const),
  routing: fc.constantFrom("auto" as const, "always" as const, "never" as const),
  foreignEndpoints: fc.constantFrom("ignore" as const, "adopt" as const, "replace" as const),
  rp: fc.constantFrom("0", "1", "2"),
});

/** Found by chance: a foreign endpoint takes its room also when the same one of ours is ranked out. */
const FOREIGN_AMONG_THE_LOSERS = {
  carriers: [false, true, false, true],
  defaults: [false, true, false, true],
  addresses: [...[1, 2, 5, 6, 4].map((last) => ({ link: 1, last })), ...[1, 2].map((last) => ({ link: 3, last }))],
  foreign: [
    { link: 1, last: 4 },
    { link: 0, last: 1 },
    { link: 0, last: 2 },
  ],
  profile: "client" as const,
  routing: "auto" as const,
  foreignEndpoints: "ignore" as const,
  rp: "0" as const,
};

const NOT_IN_USE = { bySubflows: new Set<Address>(), byConnections: new Set<Address>() };

test("law: after the actions nothing is left to do, and the end puts everything back", () => {
  fc.assert(
    fc.property(someHost, ({ carriers, defaults, addresses, foreign, rp, ...config }) => {
      const unique = [...new Map(addresses.map((each) => [`${each.link}.${each.last}`, each])).values()];
      const others = [...new Map(foreign.map((each) => [`${each.link}.${each.last}`, each])).values()];
      const facts: Facts = {
        ...FACTS,
        links: carriers.map((carrier, i) => link(i + 2, `eth${i}`, { carrier })),
        addresses: unique.map((each) => address(each.link + 2, `10.0.${each.link}.${each.last}`)),
        routes: defaults.flatMap((has, i) => (has ? [route(i + 2, `10.0.${i}.254`, i * 100)] : [])),
        endpoints: others.map((each, i) => ({
          id: i + 1,
          address: ip(`10.0.${each.link}.${each.last}`),
          port: 0,
          flags: 1,
          interfaceIndex: 0,
        })),
        sysctls: new Map([
          ["net.ipv4.conf.all.rp_filter", "0"],
          ...carriers.map((_, i): [string, string] => [`net.ipv4.conf.eth${i}.rp_filter`, rp]),
        ]),
      };
      const whole = { ...CONFIG, ...config };
      const first = host.reconcileHost(facts, host.planHost(facts, whole, NOTHING), whole, NOTHING);
      const after = applied(facts, NOTHING, first);
      assert.ok(after.facts.endpoints.length <= FACTS.capacity.endpoints, "never more than the kernel takes");
      const second = host.reconcileHost(
        after.facts,
        host.planHost(after.facts, whole, after.memory),
        whole,
        after.memory,
      );
      assert.deepEqual(
        second.map((action) => host.commandLine(action, String)),
        [],
      );
      const end = applied(
        after.facts,
        after.memory,
        host.restoreHost(after.facts, { ...after.memory, limits: facts.limits }, NOT_IN_USE),
      );
      assert.deepEqual([end.facts.rules, end.facts.sysctls, end.facts.limits], [[], facts.sysctls, facts.limits]);
      assert.deepEqual(end.facts.routes, facts.routes);
      if (whole.foreignEndpoints === "ignore") assert.deepEqual(end.facts.endpoints, facts.endpoints);
    }),
    { numRuns: 500, examples: [[FOREIGN_AMONG_THE_LOSERS]] },
  );
});
