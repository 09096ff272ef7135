import type { Scenario } from "../scenario.ts";

/** A peer that denies joins to its initial address (the C flag of RFC 8684 §3.1). */
export const DENY: readonly Scenario[] = [
  { name: "server denies, subflow endpoint", setup: "server denies; client add b subflow" },
  {
    name: "server denies and announces, nothing accepted",
    setup: "server denies; server add b signal; client add c subflow",
  },
  {
    name: "server denies and announces, two subflow endpoints",
    setup: "server denies; server add b signal; client add b subflow; client add c subflow",
  },
  {
    name: "server denies and announces, accepted",
    setup: "server denies; server add b signal; client add c subflow; client limits 2 1",
  },
  { name: "server denies and announces, no endpoint", setup: "server denies; server add b signal; client limits 2 1" },
  {
    name: "server denies and announces, endpoint of the initial address",
    setup: "server denies; server add b signal; client add a subflow",
  },
  {
    name: "server denies, fullmesh",
    setup: "server denies; server add b signal; client add c subflow fullmesh; client limits 4 4; server limits 4 4",
  },
  {
    name: "server denies, laminar",
    setup: "server denies; server add b signal; client add c laminar; client limits 4 4",
  },
  {
    name: "server denies and announces a port",
    setup: "server denies; server add b signal port 5090; client add c subflow",
  },
  { name: "client denies, subflow endpoint", setup: "client denies; client add b subflow" },
  { name: "client denies, subflow endpoint at the server", setup: "client denies", steps: ["server add b subflow"] },
  {
    name: "server denies and announces later",
    setup: "server denies; client add b subflow",
    steps: ["server add c signal"],
  },
];
