// Learns which path is good, by trying them: a bandit with as many arms as there are paths (UCB1). One path carries the data for a while, and what it
// carried is what it is worth; one that was tried seldom is worth a try.

/** @type {import("subflow/policy").Policy} */
export const policy = {
  name: "bandit",
  about: "tries paths in turn, and uses most the one that carried most",
  parameters: {
    turn: { type: "duration", about: "for how long a path is tried", default: 2000, min: 200, max: 600_000 },
    curiosity: { type: "share", about: "how much a path that was seldom tried is worth", default: 0.5, min: 0, max: 1 },
  },
  measures: 200,
  // Per local address: how often it was tried, and the mean of what it carried, in bytes a second. And the turn at hand.
  begin: ({ now }) => ({ arms: {}, active: "", since: now, bytes: 0 }),

  plan(view, memory, _occasion, { turn, curiosity }) {
    if (view.side === "server") return { subflows: view.subflows.map((keep) => ({ keep })) };
    const usable = view.subflows.filter(({ state }) => state === "established");
    const nameOf = ({ path }) => path.local.address;
    const current = usable.find((one) => nameOf(one) === memory.active);
    let { arms, active, since, bytes } = memory;
    const isOver = view.now - since >= turn;
    if (!current || isOver) {
      const carried = carriedBy(current) - bytes;
      // A turn in which nothing was to be carried says nothing of the path.
      if (current && carried > 0) arms = learned(arms, active, (1000 * carried) / (view.now - since));
      const next = usable.toSorted((a, b) => worth(arms, nameOf(b), curiosity) - worth(arms, nameOf(a), curiosity))[0];
      active = next ? nameOf(next) : "";
      since = view.now;
      bytes = carriedBy(next);
    }
    const subflows = view.subflows.map((keep) =>
      active === "" ? { keep } : { keep, backup: nameOf(keep) !== active },
    );
    for (const open of view.pairs)
      if (open.subflows.length === 0 && open.blocked === "") subflows.push({ open, backup: true });
    return { subflows, memory: { arms, active, since, bytes } };
  },
};

function carriedBy(subflow) {
  const { bytesAcked = 0, bytesReceived = 0 } = subflow?.measured ?? {};
  return bytesAcked + bytesReceived;
}

function learned(arms, name, rate) {
  const { times = 0, mean = 0 } = arms[name] ?? {};
  // Networks change: no more than the last twenty turns count.
  const known = Math.min(times, 19);
  return { ...arms, [name]: { times: times + 1, mean: mean + (rate - mean) / (known + 1) } };
}

function worth(arms, name, curiosity) {
  const arm = arms[name];
  if (!arm) return Number.POSITIVE_INFINITY;
  const all = Object.values(arms);
  const best = Math.max(...all.map(({ mean }) => mean), 1);
  const times = all.reduce((sum, each) => sum + each.times, 0);
  return arm.mean / best + curiosity * Math.sqrt(Math.log(times) / arm.times);
}
