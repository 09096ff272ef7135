import type { Scenario } from "../scenario.ts";

/** Commands while the connection lives and data flow. */
export const CHANGE: readonly Scenario[] = [
  { name: "endpoint added late", setup: "", steps: ["client add b subflow"] },
  { name: "two endpoints added late", setup: "", steps: ["client add b subflow; client add c subflow"] },
  { name: "announced late", setup: "client limits 2 1", steps: ["server add b signal"] },
  { name: "two announced late", setup: "client limits 2 2", steps: ["server add b signal", "server add c signal"] },
  { name: "subflow endpoint deleted", setup: "client add b subflow", steps: ["client delete b"] },
  {
    name: "subflow endpoint deleted and added again",
    setup: "client add b subflow",
    steps: ["client delete b", "client add b subflow"],
  },
  {
    name: "one of two endpoints deleted",
    setup: "client add b subflow; client add c subflow",
    steps: ["client delete b"],
  },
  {
    name: "two endpoints deleted",
    setup: "client add b subflow; client add c subflow",
    steps: ["client delete b", "client delete c"],
  },
  {
    name: "a deleted endpoint makes room for the next",
    setup: "client add b subflow; client add c subflow; client limits 1 0",
    steps: ["client delete b"],
  },
  { name: "announced endpoint deleted", setup: "server add b signal; client limits 2 1", steps: ["server delete b"] },
  { name: "announced and not accepted endpoint deleted", setup: "server add b signal", steps: ["server delete b"] },
  {
    name: "announced endpoint deleted and added again",
    setup: "server add b signal; client limits 2 1",
    steps: ["server delete b", "server add b signal"],
  },
  { name: "signal subflow endpoint deleted", setup: "client add b signal subflow", steps: ["client delete b"] },
  {
    name: "port endpoint deleted",
    setup: "server add b signal port 5070; client limits 2 1",
    steps: ["server delete b"],
  },
  { name: "port endpoint added late", setup: "client limits 2 1", steps: ["server add b signal port 5080"] },
  {
    name: "endpoint of the answering address deleted by the client",
    setup: "server add b signal; client add b; client limits 2 1",
    steps: ["client delete b"],
  },
  {
    name: "implicit endpoint made explicit",
    setup: "server add b signal; client limits 2 1",
    steps: ["client add b subflow"],
  },
  { name: "implicit endpoint deleted", setup: "server add b signal; client limits 2 1", steps: ["client delete b"] },
  { name: "client flushed", setup: "client add b subflow; client add c subflow", steps: ["client flush"] },
  {
    name: "client flushed and configured again",
    setup: "client add b subflow",
    steps: ["client flush", "client add c subflow"],
  },
  { name: "server flushed, one announced", setup: "server add b signal; client limits 2 2", steps: ["server flush"] },
  {
    name: "server flushed, two announced",
    setup: "server add b signal; server add c signal; client limits 2 2",
    steps: ["server flush"],
  },
  { name: "server flushed, client's joins stay", setup: "client add b subflow", steps: ["server flush"] },
  {
    name: "both flushed",
    setup: "client add b subflow; server add c signal; client limits 2 2",
    steps: ["client flush", "server flush"],
  },
  { name: "endpoint becomes backup", setup: "client add b subflow", steps: ["client change b backup"] },
  { name: "endpoint is no backup any more", setup: "client add b subflow backup", steps: ["client change b"] },
  { name: "backup and back", setup: "client add b subflow", steps: ["client change b backup", "client change b"] },
  { name: "backup changed to what it is", setup: "client add b subflow backup", steps: ["client change b backup"] },
  {
    name: "initial address becomes backup",
    setup: "client add a subflow; client add b subflow",
    steps: ["client change a backup"],
  },
  {
    name: "announced endpoint becomes backup",
    setup: "server add b signal; client limits 2 1",
    steps: ["server change b backup"],
  },
  {
    name: "fullmesh endpoint becomes backup",
    setup: "client add b subflow fullmesh; server add c signal; client limits 4 4; server limits 4 4",
    steps: ["client change b backup fullmesh"],
  },
  {
    name: "endpoint becomes fullmesh",
    setup: "client add b subflow; server add c signal; client limits 4 4; server limits 4 4",
    steps: ["client change b fullmesh"],
  },
  {
    name: "endpoint is fullmesh no more",
    setup: "client add b subflow fullmesh; server add c signal; client limits 4 4; server limits 4 4",
    steps: ["client change b"],
  },
  {
    name: "fullmesh refused on an announced endpoint",
    setup: "server add b signal; client limits 2 1",
    steps: ["server change b fullmesh"],
  },
];
