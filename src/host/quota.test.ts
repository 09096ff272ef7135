import assert from "node:assert/strict";
import { test } from "node:test";
import { CONFIG, FACTS, NOTHING } from "../../test/fixtures/host-facts.ts";
import { ENDPOINT_FLAG } from "../types/index.ts";
import type { HostConfig, InterfaceRule, Role } from "./config.ts";
import type { HostFacts } from "./facts.ts";
import { planHost } from "./plan.ts";
import { amountText } from "./quota.ts";
import { reconcileHost } from "./reconcile.ts";
import { flagWords } from "./text.ts";

const QUOTA = { bytes: 5e9, period: "month" } as const;
const rule = (role: Role): InterfaceRule => ({
  ...{ match: { name: "wwan*" }, role, quota: QUOTA },
  alsoWithoutDefaultRoute: false,
});
const configOf = (role: Role): HostConfig => ({ ...CONFIG, interfaces: [rule(role)], plansPairs: true });
const factsOf = (used: number | undefined, name = "wwan0"): HostFacts => ({
  ...FACTS,
  quotaUsed: used === undefined ? undefined : new Map([[name, used]]),
});
const flags = (role: Role, used: number | undefined) =>
  planHost(factsOf(used), configOf(role), NOTHING)
    .endpoints.filter(({ dev }) => dev === "wwan0")
    .map((endpoint) => flagWords(endpoint.flags))
    .join();

test("at its quota a path is backup, at 110 % there is none; until then nothing changes", () => {
  const steps = [undefined, 0, 4e9, 4.99e9, 5e9, 5.49e9, 5.5e9, 9e9];
  const within = "subflow laminar";
  const spent = "subflow laminar backup";
  assert.deepEqual(
    steps.map((used) => flags("subflow", used)),
    [within, within, within, within, spent, spent, "", ""],
  );
});

test("every role keeps what it is beside, so that no subflow is closed for it", () => {
  const spent = (["primary", "backup", "signal", "fullmesh", "laminar", "off"] as const).map((role) =>
    flags(role, 5e9),
  );
  const expected = [
    "subflow laminar backup",
    "subflow backup",
    "signal backup",
    "subflow backup fullmesh",
    "laminar backup",
  ];
  assert.deepEqual(spent, [...expected, ""]);
});

test("what is used on one interface is nothing to another of the same rule", () => {
  const plan = planHost(factsOf(9e9, "wwan1"), configOf("subflow"), NOTHING);
  assert.equal(plan.endpoints.length, 2);
});

test("why, and until when", () => {
  const [left] = planHost(factsOf(6e9), configOf("subflow"), NOTHING).leftOut.filter(({ what }) => what === "wwan0");
  assert.equal(left?.reason, "its quota of 5GB a month is used up (rule 1 of interfaces)");
  assert.match(left?.remedy ?? "", /returns when the month is over/);
  const spent = planHost(factsOf(5e9), configOf("subflow"), NOTHING).endpoints.find(({ dev }) => dev === "wwan0");
  assert.match(spent?.because ?? "", /quota of 5GB a month is used up/);
});

for (const plansPairs of [true, false]) {
  test(`the change to backup and back is one of flags alone, ${plansPairs ? "userspace" : "kernel"} mode`, () => {
    const config = { ...configOf("subflow"), plansPairs };
    const memory = { ...NOTHING, owned: new Set(["10.0.1.1", "10.0.2.1"]) };
    const there = (used: number) =>
      planHost(factsOf(used), config, memory).endpoints.map((each, n) => ({ ...each, id: n + 1 }));
    for (const [before, after] of [
      [0, 5e9],
      [5e9, 0],
    ] as const) {
      const facts = { ...factsOf(after), endpoints: there(before) };
      const changes = reconcileHost(facts, planHost(facts, config, memory), config, memory).filter(({ type }) =>
        type.startsWith("endpoint"),
      );
      assert.equal(changes.length, 1, JSON.stringify(changes));
      const [change] = changes;
      assert.ok(change?.type === "endpoint.flags");
      assert.equal(change.flags & ENDPOINT_FLAG.backup, after === 0 ? 0 : ENDPOINT_FLAG.backup);
    }
  });
}

test("amounts for people", () => {
  assert.deepEqual([0, 999, 1e6, 4_123_456_789, 12e12].map(amountText), ["0B", "999B", "1MB", "4.12GB", "12TB"]);
});
