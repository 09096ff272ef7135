// Wi-Fi first, cellular where its round trip is above 300 ms, and Wi-Fi again when it has been good for a while.
//
//   plugins: { wifi-first: /etc/subflow/policies/wifi-first.mjs }
//   policy: { name: "plugin:wifi-first", above: 300ms, hold_down: 10s }
//
// First is what comes first in the table of endpoints: give the interface the role primary.

/** @type {import("subflow/policy").Policy} */
export const policy = {
  name: "wifi-first",
  about: "the first path, unless it is slow; the next one then, until the first has been good for a while",
  parameters: {
    above: { type: "duration", about: "a round trip that is too long", default: 300, min: 10, max: 60_000 },
    hold_down: {
      type: "duration",
      about: "how long a path must be good before it is trusted again",
      default: 10_000,
      min: 0,
      max: 3_600_000,
    },
  },
  measures: 250,
  // When each path was bad for the last time, by its local address.
  begin: () => ({}),

  plan(view, memory, _occasion, { above, hold_down: holdDown }) {
    if (view.side === "server") return { subflows: view.subflows.map((keep) => ({ keep })) };
    const badAt = { ...memory };
    for (const { path, measured } of view.subflows)
      if (measured && measured.rtt > above) badAt[path.local.address] = measured.at;
    const isTrusted = ({ path }) => view.now - (badAt[path.local.address] ?? Number.NEGATIVE_INFINITY) >= holdDown;
    const order = new Map(view.pairs.map(({ local }, place) => [local.address, place]));
    const rank = ({ path }) => order.get(path.local.address) ?? Number.POSITIVE_INFINITY;
    const usable = view.subflows.filter(({ state }) => state === "established").toSorted((a, b) => rank(a) - rank(b));
    const active = usable.find(isTrusted) ?? usable[0];
    const subflows = view.subflows.map((keep) => (active ? { keep, backup: keep !== active } : { keep }));
    for (const open of view.pairs)
      if (open.subflows.length === 0 && open.blocked === "") subflows.push({ open, backup: true });
    return { subflows, memory: badAt };
  },
};
