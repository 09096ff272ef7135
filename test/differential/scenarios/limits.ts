import type { Scenario } from "../scenario.ts";

/** Limits of both sides, and limits that change while connected. */
export const LIMITS: readonly Scenario[] = [
  {
    name: "server takes one join of two",
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
    name: "server takes no join",
    setup: "client add b subflow; server limits 0 0",
    differs: {
      because: "No veto on joins",
      where: "server",
      at: { 0: ["+ server MPJoinAckRx 1", "+ server RmSubflow 1", "- client MPRstTx 1", "- server MPJoinRejected 1"] },
    },
  },
  {
    name: "limit raised, then an endpoint added",
    setup: "client add b subflow; client limits 0 0",
    steps: ["client limits 2 0", "client add c subflow"],
  },
  {
    name: "limit raised from one",
    setup: "client add b subflow; client add c subflow; client limits 1 0",
    steps: ["client limits 2 0"],
  },
  {
    name: "limit raised from one, then an endpoint added",
    setup: "client add b subflow; client limits 1 0",
    steps: ["client limits 3 0", "client add c subflow"],
  },
  {
    name: "limit lowered below what exists",
    setup: "client add b subflow; client add c subflow",
    steps: ["client limits 1 0", "client delete b", "client add d subflow"],
  },
  {
    name: "add_addr_accepted raised while connected",
    setup: "client limits 2 0",
    steps: ["client limits 2 2", "server add b signal"],
  },
  {
    name: "add_addr_accepted raised from one",
    setup: "client limits 4 1; server limits 4 0; server add b signal",
    steps: ["client limits 4 2", "server add c signal"],
  },
  {
    name: "add_addr_accepted lowered",
    setup: "client limits 4 2; server limits 4 0; server add b signal",
    steps: ["client limits 4 1", "server add c signal"],
  },
  {
    name: "server's limit raised while connected",
    setup: "client add b subflow; server limits 0 0",
    steps: ["server limits 2 0", "client add c subflow"],
    differs: {
      because: "No veto on joins",
      where: "server",
      at: {
        0: ["+ server MPJoinAckRx 1", "+ server RmSubflow 1", "- client MPRstTx 1", "- server MPJoinRejected 1"],
        1: ["+ server MPJoinAckRx 1", "+ server RmSubflow 1", "- client MPRstTx 1", "- server MPJoinRejected 1"],
        2: ["+ server MPJoinAckRx 2", "+ server RmSubflow 2", "- client MPRstTx 2", "- server MPJoinRejected 2"],
      },
    },
  },
  {
    name: "limits beyond the maximum are refused",
    setup: "client limits 9 0; client limits 2 9; client add b subflow",
  },
  {
    name: "the same endpoint twice is refused",
    setup: "client add b subflow; client add b subflow; client add c subflow id 1",
  },
  { name: "a port without signal is refused", setup: "client add b subflow port 5120; client add b signal fullmesh" },
  {
    name: "a ninth endpoint is refused",
    setup:
      "client add a; client add b; client add c; client add d; client add a6; client add b6; client add c6; client add d6; client add 10.0.1.9",
  },
  { name: "deletions that find nothing", setup: "client delete id 7; client delete id 0 d; client add b subflow" },
];
