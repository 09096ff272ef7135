import type { Scenario } from "../scenario.ts";

/** Endpoints that open subflows: flags, limits, both sides. */
export const CONNECT: readonly Scenario[] = [
  { name: "nothing configured", setup: "" },
  { name: "one subflow endpoint", setup: "client add b subflow" },
  { name: "two subflow endpoints", setup: "client add b subflow; client add c subflow" },
  {
    name: "three subflow endpoints, room for two",
    setup: "client add b subflow; client add c subflow; client add d subflow",
  },
  {
    name: "three subflow endpoints, room for three",
    setup: "client limits 3 0; server limits 3 0; client add b subflow; client add c subflow; client add d subflow",
  },
  { name: "no subflows allowed", setup: "client limits 0 0; client add b subflow" },
  { name: "explicit ids, out of order", setup: "client add b subflow id 9; client add c subflow id 4" },
  { name: "endpoint equal to the initial address", setup: "client add a subflow" },
  { name: "endpoint equal to the initial address, and another", setup: "client add a subflow; client add b subflow" },
  {
    name: "endpoint equal to the initial address as backup",
    setup: "client add a subflow backup; client add b subflow",
  },
  { name: "backup endpoint", setup: "client add b subflow backup" },
  { name: "backup and not backup", setup: "client add b subflow backup; client add c subflow" },
  { name: "endpoint without flags", setup: "client add b" },
  { name: "subflow endpoint on the server", setup: "", steps: ["server add b subflow"] },
  { name: "subflow endpoints on both", setup: "client add b subflow", steps: ["server add c subflow"] },
  { name: "fullmesh endpoint, one remote address", setup: "client add b fullmesh subflow" },
  { name: "two fullmesh endpoints", setup: "client add b fullmesh subflow; client add c fullmesh subflow" },
  {
    name: "fullmesh endpoint of the initial address",
    setup: "client add a fullmesh subflow; client add b fullmesh subflow",
  },
  { name: "laminar and nothing announced", setup: "client add b laminar" },
  { name: "laminar subflow and nothing announced", setup: "client add b laminar subflow" },
  { name: "eight endpoints, eight subflows allowed", setup: EIGHT("client limits 8 0; server limits 8 0") },
  { name: "service on one address", setup: "client add b subflow", listens: "one address" },
  { name: "backup and fullmesh", setup: "client add b subflow fullmesh backup" },
];

function EIGHT(limits: string): string {
  const more = ["b", "c", "d"].map((link) => `client add ${link} subflow; client add ${link}6 subflow`);
  return [limits, ...more, "client add a6 subflow", "client add a subflow"].join("; ");
}
