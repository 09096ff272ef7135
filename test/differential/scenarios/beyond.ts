import type { Scenario } from "../scenario.ts";

/** Corners in which a userspace path manager has it harder than the in-kernel one. */
export const BEYOND: readonly Scenario[] = [
  { name: "the initial address announced late", setup: "client limits 2 1", steps: ["server add a signal"] },
  {
    name: "endpoint of the initial address deleted and announced again",
    setup: "server add a signal; server add b signal; client limits 2 2",
    steps: ["server delete a", "server add a signal"],
    differs: {
      because: "The initial address is never announced",
      where: "server",
      at: {
        2: [
          "- client subflow 10.0.1.1 > 10.0.1.2:4000 ids 0/0 out",
          "- server subflow 10.0.1.2 > 10.0.1.1 ids 0/0 in",
          ...[
            "client AddAddr",
            "client EchoAddTx",
            "client MPJoinSynAckRx",
            "client MPJoinSynTx",
            "server AddAddrTx",
            "server EchoAdd",
            "server MPJoinAckRx",
            "server MPJoinSynRx",
          ].flatMap((name) => [`- ${name} 2`, `+ ${name} 1`]),
        ],
      },
    },
  },
  {
    name: "server denies, and announces its initial address late",
    setup: "server denies; client limits 2 1",
    steps: ["server add a signal"],
  },
  {
    name: "flushed, the next endpoint has the number of the initial one",
    setup: "client add a subflow; client add b subflow; server add d signal; client limits 4 4",
    steps: ["client flush; client add c subflow"],
    kernelMayStall: true,
    differs: {
      because: "Flush forgets the initial endpoint",
      since: [6, 12],
      where: "client",
      at: {
        1: [
          "- client subflow 10.0.3.1 > 10.0.1.2:4000 ids 0/0 out",
          "+ client subflow 10.0.3.1 > 10.0.1.2:4000 ids 1/0 out",
          "- server subflow 10.0.1.2 > 10.0.3.1 ids 0/0 in",
          "+ server subflow 10.0.1.2 > 10.0.3.1 ids 0/1 in",
        ],
      },
    },
  },
  {
    name: "announced, its join closed as beyond the limit, then deleted",
    setup: "server add b signal; client limits 2 1; server limits 0 0",
    steps: ["server delete b"],
    differs: {
      because: "A closed join forgets its id",
      where: "server",
      at: {
        0: ["+ server MPJoinAckRx 1", "+ server RmSubflow 1", "- client MPRstTx 1", "- server MPJoinRejected 1"],
        1: [
          "+ server MPJoinAckRx 1",
          "+ server RmSubflow 1",
          "- client MPRstTx 1",
          "- server MPJoinRejected 1",
          "- client RmAddr 1",
          "- server RmAddrTx 1",
        ],
      },
    },
  },
  {
    name: "port endpoint deleted and added again at once",
    setup: "server add b signal port 5910; client limits 2 1",
    steps: ["server delete b; server add b signal port 5910"],
    mayRefusePort: true,
  },
  { name: "server's fullmesh endpoint", setup: "", steps: ["server add b subflow fullmesh"] },
];
