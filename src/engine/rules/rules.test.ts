import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Address, parsePrefix } from "../../types/index.ts";
import { explainRules } from "./explain.ts";
import { judge } from "./matching.ts";
import type { Match, Owner, Rule, RuleFacts } from "./rule.ts";
import { RuleSet } from "./rule-set.ts";
import { unreachableRules } from "./unreachable.ts";

const prefix = (text: string) => parsePrefix(text) ?? assert.fail(text);
const some = <T>(values: readonly T[]) =>
  fc.option(fc.subarray([...values], { minLength: 1, maxLength: 2 }), { nil: undefined });

// Few values, so that rules meet and cover each other.
const NETWORKS = [
  "10.0.0.0/8",
  "10.1.0.0/16",
  "10.1.2.0/24",
  "10.1.2.3",
  "0.0.0.0/0",
  "2001:db8::/32",
  "2001:db8:1::/48",
  "::/0",
].map(prefix);
const PORTS = [
  [443, 443],
  [80, 80],
  [400, 500],
  [1, 65_535],
] as const;

const matches: fc.Arbitrary<Match> = fc.record({
  side: fc.option(fc.constantFrom("client", "server"), { nil: undefined }),
  remote: some(NETWORKS),
  local: some(NETWORKS.slice(0, 3)),
  remotePorts: some(PORTS),
  localPorts: some(PORTS),
  interfaces: some(["wlan0", "wlan*", "eth0"]),
  users: some([0, 1000]),
  units: some(["a.service", "b*"]),
  cgroups: some(["/system.slice", "/user.slice/*"]),
  commands: some(["rsync", "cu*"]),
});
/** Most say one or two things. */
const sparse = fc
  .tuple(
    matches,
    fc.subarray(
      [
        "side",
        "remote",
        "local",
        "remotePorts",
        "localPorts",
        "interfaces",
        "users",
        "units",
        "cgroups",
        "commands",
      ] as const,
      { maxLength: 2 },
    ),
  )
  .map(
    ([match, kept]) =>
      Object.fromEntries(Object.entries(match).filter(([key]) => kept.includes(key as "side"))) as Match,
  );
const rules = fc
  .array(fc.oneof(sparse, matches), { maxLength: 40 })
  .map((all): Rule[] => all.map((match, index) => ({ name: `${index}`, match })));

const addresses = fc.constantFrom(
  "10.1.2.3",
  "10.1.9.9",
  "10.9.9.9",
  "192.0.2.1",
  "::ffff:10.1.2.3",
  "2001:db8::1",
  "2001:db8:1::1",
) as fc.Arbitrary<Address>;
const ends = fc.record({ address: addresses, port: fc.constantFrom(443, 80, 450, 9000) });
const facts: fc.Arbitrary<RuleFacts> = fc.record({
  side: fc.constantFrom("client", "server"),
  initial: fc.record({ local: ends, remote: ends }),
  interfaceName: fc.option(fc.constantFrom("wlan0", "wlan1", "eth0"), { nil: undefined }),
});
const sockets = fc.option(
  fc.record({
    uid: fc.constantFrom(0, 1000, 7),
    cgroup: fc.option(fc.constantFrom("/system.slice/a.service", "/user.slice/x/bb", "/"), { nil: undefined }),
  }),
  { nil: null },
);
const commands = fc.option(fc.constantFrom("rsync", "curl", "x"), { nil: null });

test("rules: compiled or one by one, the first that matches is the same", () => {
  fc.assert(
    fc.property(rules, facts, sockets, commands, (all, about, socket, command) => {
      const owner: Owner = { socket, command };
      const expected = all.findIndex(({ match }) => judge(match, about, owner) === undefined);
      assert.deepEqual(new RuleSet(all).find(about, owner), { rule: expected < 0 ? undefined : expected });
    }),
    { numRuns: 2000 },
  );
});

test("rules: what was not looked up is asked for only where it may decide, and asking in steps ends at the same rule", () => {
  fc.assert(
    fc.property(rules, facts, sockets, commands, (all, about, socket, command) => {
      const set = new RuleSet(all);
      const expected = set.find(about, { socket, command });
      let found = set.find(about, undefined);
      if ("needs" in found) {
        assert.ok(
          all.some(({ match: { users, units, cgroups, commands: named } }) => users ?? units ?? cgroups ?? named),
        );
        found = set.find(about, found.needs === "socket" ? { socket } : { socket, command });
      }
      if ("needs" in found) {
        assert.equal(found.needs, "process");
        found = set.find(about, { socket, command });
      }
      assert.deepEqual(found, expected);
    }),
    { numRuns: 2000 },
  );
});

test("rules: nothing ever comes to one that is said to be unreachable", () => {
  let said = 0;
  fc.assert(
    fc.property(
      rules,
      fc.array(facts, { minLength: 20, maxLength: 20 }),
      sockets,
      commands,
      (all, many, socket, command) => {
        const unreachable = unreachableRules(all);
        said += unreachable.length;
        const set = new RuleSet(all);
        for (const about of many) {
          const found = set.find(about, { socket, command });
          assert.ok(!unreachable.some(({ rule }) => "rule" in found && found.rule === rule));
        }
      },
    ),
  );
  assert.ok(said > 10, `${said} were found`);
});

const about = (remote: string, port: number): RuleFacts => ({
  side: "client",
  initial: { local: { address: "10.0.0.1" as Address, port: 1 }, remote: { address: remote as Address, port } },
  interfaceName: "eth0",
});

test("rules: a look-up is not made for a connection that no rule about owners comes before", () => {
  const set = new RuleSet([
    { name: "https", match: { remotePorts: [[443, 443]] } },
    { name: "alice", match: { users: [1000] } },
  ]);
  assert.deepEqual(set.find(about("10.1.1.1", 443), undefined), { rule: 0 });
  assert.deepEqual(set.find(about("10.1.1.1", 80), undefined), { needs: "socket" });
  const both = new RuleSet([{ name: "alice", match: { users: [1000], remotePorts: [[443, 443]] } }]);
  assert.deepEqual(both.find(about("10.1.1.1", 80), undefined), { rule: undefined });
});

test("rules: a rule that an earlier one makes useless is found, whatever they name", () => {
  const rule = (name: string, match: Match): Rule => ({ name, match });
  const unreachable = unreachableRules([
    rule("all of 10", { remote: [prefix("10.0.0.0/8")] }),
    rule("10.1 and https", { remote: [prefix("10.1.0.0/16")], remotePorts: [[443, 443]] }),
    rule("wide", { remote: [prefix("10.1.0.0/16"), prefix("192.0.2.0/24")] }),
    rule("wlan0", { interfaces: ["wlan*"] }),
    rule("one of them", { interfaces: ["wlan3"], users: [0] }),
    rule("all", {}),
    rule("behind all", { side: "server" }),
  ]);
  assert.deepEqual(unreachable, [
    { rule: 1, because: 0 },
    { rule: 4, because: 3 },
    { rule: 6, because: 5 },
  ]);
});

test("rules: why each before the one that matches does not", () => {
  const all: Rule[] = [
    { name: "servers", match: { side: "server" } },
    {
      name: "web",
      match: {
        remotePorts: [
          [80, 80],
          [8000, 8080],
        ],
      },
    },
    { name: "office", match: { remote: [prefix("192.0.2.0/24")] } },
    { name: "alice", match: { users: [1000] } },
    { name: "rest", match: {} },
    { name: "behind", match: {} },
  ];
  assert.deepEqual(explainRules(all, about("10.1.1.1", 443), undefined), [
    { rule: "servers", reason: "this host is the client" },
    { rule: "web", reason: "remote port of 10.1.1.1:443 is not 80, 8000-8080" },
    { rule: "office", reason: "remote address 10.1.1.1 is not in 192.0.2.0/24" },
    { rule: "alice", reason: "whose socket it is was not said" },
    { rule: "rest", reason: "" },
  ]);
});
