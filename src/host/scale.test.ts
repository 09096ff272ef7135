import assert from "node:assert/strict";
import { test } from "node:test";
import { address, CONFIG, FACTS, NOTHING, route } from "../../test/fixtures/host-facts.ts";
import { planHost, reconcileHost } from "./index.ts";

/** The same values, each with a count of how often anybody looked at one of its properties. */
function counted<T extends object>(values: readonly T[], count: () => void): T[] {
  const get = (target: T, name: string | symbol): unknown => {
    count();
    return Reflect.get(target, name);
  };
  return values.map((value) => new Proxy(value, { get }));
}

/** Looks at addresses and routes for one plan of a host with so many of each, and as many rules. */
function looks(size: number): number {
  let count = 0;
  const look = (): void => {
    count++;
  };
  const nth = Array.from({ length: size }, (_, index) => `${index >> 8}.${index & 255}`);
  const facts = {
    ...FACTS,
    addresses: counted([...FACTS.addresses, ...nth.map((rest) => address(3, `10.9.${rest}`))], look),
    routes: counted([...FACTS.routes, ...nth.map((rest) => route(2, "10.0.1.253", 5, onward(`10.8.${rest}`)))], look),
    rules: counted(
      nth.map((rest) => rule(`10.7.${rest}`)),
      look,
    ),
    capacity: { ...FACTS.capacity, endpoints: 8 },
  };
  const config = { ...CONFIG, profile: "server" } as const;
  const plan = planHost(facts, config, NOTHING);
  assert.equal(plan.endpoints.length, 8);
  reconcileHost(facts, plan, config, NOTHING);
  return count;
}

const onward = (destination: string) => ({ destination: address(2, destination).address, destinationLength: 32 });

const rule = (source: string) => ({
  family: 2,
  priority: 100,
  source: address(2, source).address,
  sourceLength: 32,
  destination: undefined,
  destinationLength: 0,
  table: 100,
  inputInterface: undefined,
  outputInterface: undefined,
  mark: undefined,
  protocol: 3,
  action: 1,
});

test("a plan looks at each address, route and rule a few times, however many there are", () => {
  const [small, large] = [looks(500), looks(4000)];
  assert.ok(large < 9 * small, `${small} looks for 500 of each, ${large} for 4,000`);
});
