import type { Scenario } from "../scenario.ts";

/** Subflows that go: the initial one, by the peer, without a path manager. */
export const REMOVAL: readonly Scenario[] = [
  { name: "initial address removed by the client", setup: "client add b subflow", steps: ["client delete id 0 a"] },
  {
    name: "initial address removed by the server",
    setup: "server add b signal; client limits 2 1",
    steps: ["server delete id 0 a"],
  },
  {
    name: "initial address removed, then its endpoint added",
    setup: "client add b subflow",
    steps: ["client delete id 0 a", "client add a subflow"],
  },
  {
    name: "endpoint of the initial address deleted",
    setup: "client add a subflow; client add b subflow",
    steps: ["client delete a"],
  },
  {
    name: "endpoint of the initial address deleted and added again",
    setup: "client add a subflow; client add b subflow",
    steps: ["client delete a", "client add a subflow"],
  },
  { name: "join killed at the client", setup: "client add b subflow", steps: ["client kill b"] },
  {
    name: "join killed, another endpoint waits",
    setup: "client add b subflow; client add c subflow; client limits 1 0",
    steps: ["client kill b"],
  },
  {
    name: "join killed, its endpoint added again",
    setup: "client add b subflow",
    steps: ["client kill b", "client delete b", "client add b subflow"],
  },
  { name: "initial subflow killed", setup: "client add b subflow", steps: ["client kill a"] },
  {
    name: "initial subflow killed, then an endpoint added",
    setup: "client add b subflow",
    steps: ["client kill a", "client add c subflow"],
  },
  {
    name: "initial subflow killed, then announced",
    setup: "client add b subflow; client limits 4 4; server limits 4 4",
    steps: ["client kill a", "server add c signal"],
  },
  {
    name: "removed by the server, announced again",
    setup: "server add b signal; client limits 2 1",
    steps: ["server delete b", "server add c signal"],
  },
  {
    name: "subflow to an announced address killed, another announced",
    setup: "server add b signal; client limits 2 1",
    steps: ["client kill b", "server add c signal"],
  },
  {
    name: "subflow to an announced address killed, then removed",
    setup: "server add b signal; client limits 2 1",
    steps: ["client kill b", "server delete b", "server add c signal"],
  },
  {
    name: "fullmesh and a removal by the server",
    setup: "client add b subflow fullmesh; server add c signal; client limits 4 4; server limits 4 4",
    steps: ["server delete c"],
  },
  {
    name: "laminar and a removal by the server",
    setup: "client add b laminar; server add c signal; client limits 4 4; server limits 4 4",
    steps: ["server delete c", "server add d signal"],
  },
];
