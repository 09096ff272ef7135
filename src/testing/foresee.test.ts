import assert from "node:assert/strict";
import { test } from "node:test";
import type { Policy, Rule } from "../engine/index.ts";
import { resilient } from "../policies/index.ts";
import { parsePrefix, type Side } from "../types/index.ts";
import { Stage } from "./index.ts";

const prefix = (text: string) => {
  const parsed = parsePrefix(text);
  assert.ok(parsed);
  return parsed;
};
const port = (number: number) => [[number, number]] as const;
const CLIENT: Rule["match"] = { side: "client", remotePorts: port(22) };

const CASES: readonly (readonly [string, readonly Rule["match"][], Side, readonly string[]])[] = [
  ["no rule", [], "client", []],
  ["a port of the peer's", [CLIENT], "client", ["remote port"]],
  ["where this host is the server", [CLIENT], "server", []],
  ["a range of ports that is too long to be looked up", [{ remotePorts: [[1, 60_000]] }], "client", ["remote port"]],
  ["a port of this host's", [{ localPorts: port(443) }], "server", ["local port"]],
  ["an address of the peer's", [{ remote: [prefix("192.0.2.0/24")] }], "client", ["remote address"]],
  ["an address of this host's", [{ local: [prefix("192.0.2.0/24")] }], "client", []],
  ["an interface", [{ interfaces: ["wwan*"] }], "client", []],
  ["whose socket it is", [{ users: [1000] }], "client", ["itself"]],
  [
    "whose socket it is, where the port is another",
    [{ users: [1000], remotePorts: port(22) }],
    "client",
    ["remote port"],
  ],
  ["everything", [{}, { users: [1000] }], "client", []],
];

for (const [name, matches, side, because] of CASES) {
  test(`foreseen by rules: ${name}`, () => {
    const rules = matches.map((match, nth): Rule => ({ name: `${nth}`, match, policy: "resilient" }));
    const stage = new Stage({ policy: resilient as Policy });
    stage.engine.handle({ type: "config.changed", policy: "resilient", rules }, stage.now);
    const path = { local: { address: stage.local(0), port: 5000 }, remote: { address: stage.remote(0), port: 80 } };
    const event = { type: "connection.established", token: 2, side, path, denyJoinId0: false } as const;
    const foreseen = stage.engine.foresee(event);
    assert.deepEqual([...foreseen.because], because);
    assert.equal(foreseen.actions.length > 0, !because.includes("itself"));
  });
}

test("foreseen by rules: void when an interface has another name, if rules go by names", () => {
  for (const [match, isVoid] of [
    [{ interfaces: ["wwan*"] }, true],
    [{ remotePorts: port(22) }, false],
  ] as const) {
    const stage = new Stage({ policy: resilient as Policy });
    const told = (name: string): void => {
      const addresses = [stage.local(0)];
      const interfaceNames = new Map([[stage.local(0), name]]);
      stage.engine.handle({ type: "host.addresses", addresses, metered: [], interfaceNames }, stage.now);
    };
    stage.engine.handle({ type: "config.changed", policy: "resilient", rules: [{ name: "", match }] }, stage.now);
    told("wlan0");
    const before = stage.engine.revision;
    told("wlan0");
    assert.equal(stage.engine.revision, before);
    told("wwan0");
    assert.equal(stage.engine.revision > before, isVoid);
  }
});
