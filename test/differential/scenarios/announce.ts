import type { Scenario } from "../scenario.ts";

/** Endpoints that are announced, and what the peer makes of it. */
export const ANNOUNCE: readonly Scenario[] = [
  { name: "announced, not accepted", setup: "server add b signal" },
  { name: "announced, accepted", setup: "server add b signal; client limits 2 1" },
  { name: "two announced, two accepted", setup: "server add b signal; server add c signal; client limits 2 2" },
  { name: "two announced, one accepted", setup: "server add b signal; server add c signal; client limits 2 1" },
  { name: "two announced, room for one subflow", setup: "server add b signal; server add c signal; client limits 1 2" },
  { name: "two announced, none accepted", setup: "server add b signal; server add c signal" },
  {
    name: "three announced, three accepted",
    setup:
      "server add b signal; server add c signal; server add d signal; client limits 4 4; server limits 4 4; client add b",
  },
  { name: "the initial address announced", setup: "server add a signal; client limits 2 1" },
  {
    name: "the initial address and another announced",
    setup: "server add a signal; server add b signal; client limits 2 2",
  },
  { name: "backup announced", setup: "server add b signal backup; client limits 2 1" },
  {
    name: "announced without a limit for subflows at the server",
    setup: "server add b signal; client limits 2 1; server limits 0 0",
    differs: {
      because: "No veto on joins",
      where: "server",
      at: { 0: ["+ server MPJoinAckRx 1", "+ server RmSubflow 1", "- client MPRstTx 1", "- server MPJoinRejected 1"] },
    },
  },
  { name: "announced by the client", setup: "client add b signal; server limits 2 0" },
  { name: "announced by the client, accepted", setup: "client add b signal; server limits 2 1" },
  {
    name: "announced by both",
    setup: "client add b signal; server add c signal; client limits 2 1; server limits 2 0",
  },
  { name: "signal subflow at the client", setup: "client add b signal subflow" },
  { name: "two signal subflow at the client", setup: "client add b signal subflow; client add c signal subflow" },
  { name: "signal subflow at the client without room", setup: "client add b signal subflow; client limits 0 0" },
  { name: "signal subflow at the server", setup: "client limits 2 1", steps: ["server add b signal subflow"] },
  {
    name: "subflow and announced",
    setup: "client add b subflow; server add c signal; client limits 4 4; server limits 4 4",
  },
  {
    name: "subflow towards the announced, one slot",
    setup: "client add b subflow; server add c signal; client limits 1 1; server limits 1 0",
  },
  {
    name: "fullmesh and one announced",
    setup: "client add b subflow fullmesh; server add c signal; client limits 4 2; server limits 4 2",
  },
  {
    name: "fullmesh, two at the client, two announced",
    setup:
      "client add b subflow fullmesh; client add c subflow fullmesh; server add b signal; server add c signal; client limits 8 8; server limits 8 8",
  },
  {
    name: "fullmesh with the initial address, one announced",
    setup:
      "client add a subflow fullmesh; client add b subflow fullmesh; server add b signal; client limits 8 8; server limits 8 8",
  },
  { name: "laminar and one announced", setup: "client add b laminar; server add b signal; client limits 2 1" },
  {
    name: "two laminar and two announced",
    setup:
      "client add b laminar; client add c laminar; server add b signal; server add c signal; client limits 4 4; server limits 4 0",
  },
  {
    name: "laminar of the initial address, one announced",
    setup: "client add a laminar; client add b laminar; server add b signal; client limits 4 4; server limits 4 0",
  },
  {
    name: "one laminar and two announced",
    setup: "client add c laminar; server add b signal; server add c signal; client limits 4 4; server limits 4 0",
  },
  {
    name: "laminar subflow and one announced",
    setup: "client add b laminar subflow; server add c signal; client limits 4 4; server limits 4 0",
  },
  {
    name: "laminar backup and one announced",
    setup: "client add b laminar backup; server add c signal; client limits 4 4",
  },
  { name: "announced with a port", setup: "server add b signal port 5010; client limits 2 1" },
  {
    name: "announced with a port, service on one address",
    setup: "server add b signal port 5020; client limits 2 1",
    listens: "one address",
  },
  { name: "the initial address announced with a port", setup: "server add a signal port 5030; client limits 2 1" },
  {
    name: "two ports of one address announced",
    setup: "server add b signal port 5040; server add b signal port 5041; client limits 4 4; server limits 4 0",
    differs: {
      because: "Ids of ports",
      where: "server",
      at: {
        0: [
          "- client subflow 10.0.2.1 > 10.0.2.2:5040 ids 1/1 out",
          "+ client subflow 10.0.2.1 > 10.0.2.2:5040 ids 1/2 out",
          "- server subflow 10.0.2.2 > 10.0.2.1 ids 1/1 in",
          "+ server subflow 10.0.2.2 > 10.0.2.1 ids 2/1 in",
        ],
      },
    },
  },
  {
    name: "announced without and with a port",
    setup: "server add b signal; server add c signal port 5050; client limits 4 4; server limits 4 0",
  },
  {
    name: "announced backup with a port",
    setup: "server add b signal backup port 5060; client limits 4 4; server limits 4 0",
  },
  { name: "announced where nobody listens", setup: "server add b signal; client limits 2 1", listens: "one address" },
];
