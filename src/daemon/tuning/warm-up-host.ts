import { commandLine, type HostConfig, HostEngine, type HostFacts, Memory } from "../../host/index.ts";

/** V8 optimises a function after some hundred calls; 300 plans take about 20 ms. */
const ROUNDS = 300;

/**
 * Leads a throw-away engine many times through changes that are not carried out, so that V8 has compiled the path when the first
 * link is lost: interpreted it takes ten times as long, and a laptop's daemon sees few changes in its life. A step a plan.
 */
export function* warmUpHost(
  facts: HostFacts,
  config: HostConfig,
  { owned }: Memory,
  nameOf: (interfaceIndex: number) => string,
): Generator<void> {
  const { links, addresses, routes, rules, sysctls, endpoints, limits, capacity } = facts;
  const memory = new Memory({ owned: [...owned], clean: true });
  const engine = new HostEngine({ memory, capacity, closesSubflows: false });
  engine.handle({ type: "configured", config }, 0);
  for (let round = 0; round < ROUNDS; round++) {
    const some = addresses.filter((_, index) => (index + round) % 3 !== 0);
    engine.handle({ type: "compare" }, round);
    engine.handle({ type: "network", network: { links, addresses: some, routes, rules, sysctls } }, round);
    for (const action of engine.handle({ type: "table", endpoints, limits }, round))
      if ("endpoint" in action || "rule" in action || "route" in action) commandLine(action, nameOf);
    yield;
  }
}
