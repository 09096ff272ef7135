import type { Scenario } from "../scenario.ts";

/** IPv6, IPv4 on dual-stack sockets, and both at once. */
export const FAMILIES: readonly Scenario[] = [
  { name: "v6: subflow endpoint", family: "v6", setup: "client add b6 subflow" },
  { name: "v6: announced, accepted", family: "v6", setup: "server add b6 signal; client limits 2 1" },
  {
    name: "v6: fullmesh and one announced",
    family: "v6",
    setup: "client add b6 subflow fullmesh; server add c6 signal; client limits 4 2; server limits 4 2",
  },
  {
    name: "v6: laminar and one announced",
    family: "v6",
    setup: "client add b6 laminar; server add b6 signal; client limits 2 1",
  },
  {
    name: "v6: deleted",
    family: "v6",
    setup: "client add b6 subflow; server add c6 signal; client limits 2 1",
    steps: ["client delete b6", "server delete c6"],
  },
  { name: "v6: backup", family: "v6", setup: "client add b6 subflow backup", steps: ["client change b6"] },
  { name: "v6: flushed", family: "v6", setup: "client add b6 subflow", steps: ["client flush"] },
  { name: "v6: announced with a port", family: "v6", setup: "server add b6 signal port 5100; client limits 2 1" },
  { name: "v6: v4 announced", family: "v6", setup: "server add b signal; client limits 2 1" },
  { name: "v6: v4 subflow endpoint", family: "v6", setup: "client add b subflow" },
  {
    name: "v6: v4 fullmesh, v4 announced",
    family: "v6",
    setup: "client add b subflow fullmesh; server add c signal; client limits 4 2; server limits 4 2",
  },
  {
    name: "v6: initial address removed",
    family: "v6",
    setup: "client add b6 subflow",
    steps: ["client delete id 0 a6"],
  },
  {
    name: "v6: server denies and announces",
    family: "v6",
    setup: "server denies; server add b6 signal; client add c6 subflow",
  },
  { name: "v4: v6 announced", setup: "server add b6 signal; client limits 2 1" },
  { name: "v4: v6 subflow endpoint", setup: "client add b6 subflow; client add c subflow" },
  { name: "mapped server: subflow endpoint", family: "mapped-server", setup: "client add b subflow" },
  {
    name: "mapped server: announced, accepted",
    family: "mapped-server",
    setup: "server add b signal; client limits 2 1",
  },
  {
    name: "mapped server: announced endpoint deleted",
    family: "mapped-server",
    setup: "server add b signal; client limits 2 1",
    steps: ["server delete b"],
  },
  {
    name: "mapped server: announced becomes backup",
    family: "mapped-server",
    setup: "server add b signal; client limits 2 1",
    steps: ["server change b backup"],
  },
  {
    name: "mapped server: flushed",
    family: "mapped-server",
    setup: "server add b signal; client add c subflow; client limits 2 2",
    steps: ["server flush"],
  },
  {
    name: "mapped server: one join of two",
    family: "mapped-server",
    setup: "client add b subflow; client add c subflow; server limits 1 0",
    differs: {
      because: "No veto on joins",
      where: "server",
      at: {
        0: [
          "+ server MPJoinAckRx 2",
          "+ server RmSubflow 1",
          "- client MPRstTx 1",
          "- server MPJoinAckRx 1",
          "- server MPJoinRejected 1",
        ],
      },
    },
  },
  {
    name: "mapped server: initial address removed by the server",
    family: "mapped-server",
    setup: "server add b signal; client limits 2 1",
    steps: ["server delete id 0 a"],
  },
  {
    name: "mapped server: subflow endpoint at the server",
    family: "mapped-server",
    setup: "",
    steps: ["server add b subflow"],
  },
  {
    name: "mapped server: announced with a port",
    family: "mapped-server",
    setup: "server add b signal port 5110; client limits 2 1",
  },
  { name: "mapped: subflow endpoint", family: "mapped", setup: "client add b subflow" },
  {
    name: "mapped: subflow endpoint deleted",
    family: "mapped",
    setup: "client add b subflow",
    steps: ["client delete b"],
  },
  {
    name: "mapped: endpoint of the initial address",
    family: "mapped",
    setup: "client add a subflow backup; client add b subflow",
  },
  { name: "mapped: announced, accepted", family: "mapped", setup: "server add b signal; client limits 2 1" },
  { name: "mapped: v6 announced", family: "mapped", setup: "server add b6 signal; client limits 2 1" },
  {
    name: "mapped: fullmesh and one announced",
    family: "mapped",
    setup: "client add b subflow fullmesh; server add c signal; client limits 4 2; server limits 4 2",
  },
  {
    name: "mapped: backup and back",
    family: "mapped",
    setup: "client add b subflow",
    steps: ["client change b backup", "client change b"],
  },
  {
    name: "mapped: initial address removed",
    family: "mapped",
    setup: "client add b subflow",
    steps: ["client delete id 0 a"],
  },
  {
    name: "mapped: flushed",
    family: "mapped",
    setup: "client add b subflow; client add c subflow",
    steps: ["client flush"],
  },
];
