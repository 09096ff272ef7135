import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { checkRoute } from "./route.ts";
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
    ["a link named as the kernel's own", { hosts: HOSTS, links: [{ name: "all", ends: ENDS }] }, /cannot be named/],
    [
      "a host that only JavaScript has",
      { hosts: { a: {} }, links: [{ name: "x", ends: { a: [], toString: [] } }] },
      /no host/,
    ],
    ["two hosts with one variable", { hosts: { "w-1": {}, W_1: {} }, links: [] }, /would share the variable/],
    ...[
      "default via 10.0.0.2\nlink set lo down",
      "default via 10.0.0.2 dev x; reboot",
      "default via 10.0.0.2 dev ../x",
      "default via 10.0.0.2 # comment",
      "default\tvia 10.0.0.2",
      "10.0.0.0/33 via 10.0.0.2",
      "default via",
      "default via 10.0.0.2 via 10.0.0.2",
      "default via nowhere",
      "default __proto__ 1",
      "default metric 4294967296",
      "",
    ].map((route): [string, unknown, RegExp] => [
      `the route ${JSON.stringify(route)}`,
      { hosts: { a: { routes: [route] }, b: {} }, links: [{ name: "x", ends: ENDS }] },
      /^hosts\.a\.routes\.0: [^\n]+$/,
    ]),
    [
      "a route over another host's link",
      { hosts: { a: { routes: ["default via 10.0.0.2 dev y"] }, b: {} }, links: [{ name: "x", ends: ENDS }] },
      /a route of a leads over "y", where it has: lo, x/,
    ],
    ...[
      "net.//.kernel.core_pattern",
      "net.mptcp.//.//.//.kernel.sysrq",
      "kernel.core_pattern",
      "net/mptcp/enabled",
      "net.mptcp..enabled",
      "net.mptcp.enabled\n",
      "net",
    ].map((name): [string, unknown, RegExp] => [
      `the sysctl ${JSON.stringify(name)}`,
      { hosts: { a: { sysctls: { [name]: 1 } } }, links: [] },
      /^hosts\.a\.sysctls\.[^\n]+: only sysctls of the namespace/,
    ]),
    ["a value of two lines", { hosts: { a: { sysctls: { "net.mptcp.enabled": "1\n0" } } }, links: [] }, /one line/],
    [
      "a value that is no number",
      { hosts: { a: { sysctls: { "net.mptcp.enabled": Number.NaN } } }, links: [] },
      /whole/,
    ],
  ];
  for (const [what, topology, message] of refused) {
    it(`may not have ${what}`, () => assert.throws(() => checkTopology(topology), { code: "LAB_TOPOLOGY", message }));
  }
  it("has its routes read word by word", () => {
    const [route] = checkTopology({
      hosts: { a: { routes: ["fd00:0::/8   via fd00::0:2 dev x metric 5 onlink"] }, b: {} },
      links: [{ name: "x", ends: ENDS }],
    }).hosts.a!.routes;
    assert.equal(route, "fd00::/8 via fd00::2 dev x metric 5 onlink");
  });
  it("gives ip(8) one line of known words, whatever stands in the file", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^default( via 10\.0\.0\.2| dev x| \S+|\n.*)+$/)), (text) => {
        const route = checkRoute(text);
        if (typeof route !== "string") assert.match(route.line, /^[a-z0-9.:/ _-]+$/i);
        else assert.doesNotMatch(route, /\n/);
      }),
    );
  });
  it("says where the file is wrong", () => {
    assert.throws(() => parseTopology("hosts: {a: {}\nlinks: []", "my.yaml"), { message: /^my\.yaml: .*line/s });
  });
});
