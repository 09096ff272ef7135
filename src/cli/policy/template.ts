/** What `policy new` writes: a policy to begin with, and its tests. */
export function policyTemplate(name: string): string {
  return `// A policy for Subflow: what one connection should have. Try it: subflow policy test ${name}.mjs
//
// It is asked whenever something may have changed, and answers with a plan: which subflows stay, which are opened, which are backup.
// The plan is a wish: what fails is tried again, limits, ids and order are not its affair. Same view, memory and parameters, same plan.

/** @type {import("subflow/policy").Policy} */
export const policy = {
  name: "${name}",
  about: "the best path carries the data, each other one is ready as backup",
  parameters: {
    above: { type: "duration", about: "round trips above this are too long", default: 300, min: 10, max: 60_000 },
    hold_down: { type: "duration", about: "how long a path must be good to be used again", default: 5000, min: 0, max: 3_600_000 },
  },
  // How often paths are measured, in milliseconds; without it only where something is in doubt.
  measures: 500,
  // What is remembered of a connection: when each path was bad for the last time, by its local address.
  begin: () => ({}),

  plan(view, memory, occasion, { above, hold_down: holdDown }) {
    // A server's peers open the subflows.
    if (view.side === "server") return { subflows: view.subflows.map((keep) => ({ keep })) };
    const badAt = { ...memory };
    for (const { path, measured } of view.subflows)
      if (measured && measured.rtt > above) badAt[path.local.address] = measured.at;
    const isGood = ({ path }) => view.now - (badAt[path.local.address] ?? Number.NEGATIVE_INFINITY) >= holdDown;
    const usable = view.subflows.filter(({ state, quarantinedUntil }) => state === "established" && !quarantinedUntil);
    const active = usable.find(isGood) ?? usable[0];
    const subflows = view.subflows.map((keep) => (active ? { keep, backup: keep !== active } : { keep }));
    // view.pairs: each address of ours with each of the peer's.
    for (const pair of view.pairs)
      if (pair.subflows.length === 0 && pair.blocked === "") subflows.push({ open: pair, backup: active !== undefined });
    return { subflows, memory: badAt };
  },
};
`;
}

export function testTemplate(name: string): string {
  return `// Run by: subflow policy test ${name}.mjs
export default function tests({ test, policy, Stage, assert }) {
  test("each path has a subflow, and one carries the data", () => {
    // A connection from the first of two addresses to one of the peer's; a name is "local>remote".
    const stage = new Stage({ policy, locals: 2 });
    stage.pass(1000);
    assert.equal(stage.subflows, "0>0 1>0");
    assert.equal(stage.backups, "1>0");
  });

  test("a slow first path leaves the data to the second, until it was good for a while", () => {
    const stage = new Stage({ policy, locals: 2 });
    stage.pass(1000);
    stage.measure({ "0>0": { rtt: 800 } });
    assert.equal(stage.backups, "0>0");
    // Good again: not at once, for a path that comes and goes is not worth following.
    stage.measure({ "0>0": { rtt: 20 } });
    assert.equal(stage.backups, "0>0");
    stage.pass(5000);
    stage.measure({ "0>0": { rtt: 20 } });
    assert.equal(stage.backups, "1>0");
  });

  test("a lost path is opened again", () => {
    const stage = new Stage({ policy, locals: 2 });
    stage.pass(1000);
    stage.reset(1, 0);
    stage.pass(5000);
    assert.equal(stage.subflows, "0>0 1>0");
  });
}
`;
}
