/**
 * What it costs to find a connection's rule, with ten rules and with ten thousand of the same kinds: prefixes of both families, ports, interfaces.
 * `npm run bench -- rules`
 */
import { type Rule, type RuleFacts, RuleSet } from "../src/engine/index.ts";
import { type Address, type Prefix, parsePrefix } from "../src/types/index.ts";
import { printMachine, printTable, type Samples } from "./_support.ts";

const CONNECTIONS = 1000;
const ROUNDS = 400;

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

function rule(nth: number): Rule {
  const [high, low] = [(nth >> 8) & 255, nth & 255];
  const matches: readonly Rule["match"][] = [
    { remote: [prefix(`10.${high}.${low}.0/24`)], remotePorts: [[443, 443]] },
    { remotePorts: [[1024 + nth, 1024 + nth]], side: "server" },
    { remote: [prefix(`2001:db8:${nth.toString(16)}::/48`)] },
    { local: [prefix(`172.${16 + (high & 15)}.${low}.0/28`)], interfaces: ["eth*"] },
  ];
  return { name: `${nth}`, match: matches[nth % matches.length] ?? {} };
}

const connections = Array.from({ length: CONNECTIONS }, (_, nth): RuleFacts => {
  const n = (nth * 7919) % 20_000;
  const remote = { address: `10.${(n >> 8) & 255}.${n & 255}.7` as Address, port: 443 };
  const local = { address: "192.168.1.5" as Address, port: 40_000 };
  return { side: "client", initial: { local, remote }, interfaceName: "wlan0" };
});

/** Microseconds a connection, a value a round. */
function measure(count: number): Samples {
  const set = new RuleSet(Array.from({ length: count }, (_, nth) => rule(nth)));
  const values: number[] = [];
  for (let round = 0; round < 2 * ROUNDS; round++) {
    const start = performance.now();
    for (const facts of connections) set.find(facts, undefined);
    if (round >= ROUNDS) values.push(((performance.now() - start) * 1000) / CONNECTIONS);
  }
  return { name: `${count} rules`, values };
}

printMachine();
printTable("from a connection to its rule", "us", [measure(10), measure(100), measure(10_000)]);
