import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkTopology, EXAMPLE_TOPOLOGY, parseTopology } from "./topology.ts";

const ENDS = { a: ["10.0.0.1/24"], b: ["10.0.0.2/24"] };
const HOSTS = { a: {}, b: {} };

describe("a topology", () => {
  it("may be the example", () => {
    const { hosts, links } = parseTopology(EXAMPLE_TOPOLOGY, "example");
    assert.deepEqual(Object.keys(hosts), ["client", "server"]);
    assert.deepEqual(
      links.map(({ name, rate, queue }) => [name, rate, queue]),
      [
        ["wifi", "20mbit", 50],
        ["cellular", "10mbit", 100],
      ],
    );
  });
  const refused: [string, unknown, RegExp][] = [
    [
      "a host that does not exist",
      { hosts: { a: {} }, links: [{ name: "x", ends: ENDS }] },
      /link x ends at "b", which is no host/,
    ],
    [
      "one end only",
      { hosts: HOSTS, links: [{ name: "x", ends: { a: [] } }] },
      /links\.0\.ends: a link has exactly two ends/,
    ],
    [
      "an address without prefix",
      { hosts: HOSTS, links: [{ name: "x", ends: { ...ENDS, a: ["10.0.0.1"] } }] },
      /ends\.a\.0: an address must look/,
    ],
    [
      "a prefix too long",
      { hosts: HOSTS, links: [{ name: "x", ends: { ...ENDS, a: ["10.0.0.1/33"] } }] },
      /an address must look/,
    ],
    ["a name too long", { hosts: HOSTS, links: [{ name: "x".repeat(16), ends: ENDS }] }, /links\.0\.name: a name has/],
    [
      "a rate without unit",
      { hosts: HOSTS, links: [{ name: "x", ends: ENDS, rate: "20" }] },
      /links\.0\.rate: a rate must look/,
    ],
    [
      "the same link twice",
      {
        hosts: HOSTS,
        links: [
          { name: "x", ends: ENDS },
          { name: "x", ends: ENDS },
        ],
      },
      /two links are named "x"/,
    ],
    ["a misspelt key", { hosts: { a: { sysctl: {} }, b: {} }, links: [] }, /hosts\.a\.sysctl/],
    ["nothing", null, /topology/],
  ];
  for (const [what, topology, message] of refused) {
    it(`may not have ${what}`, () => assert.throws(() => checkTopology(topology), { code: "LAB_TOPOLOGY", message }));
  }
  it("says where the file is wrong", () => {
    assert.throws(() => parseTopology("hosts: {a: {}\nlinks: []", "my.yaml"), { message: /^my\.yaml: .*line/s });
  });
});
