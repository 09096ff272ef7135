import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Address } from "../types/index.ts";
import { type Attempt, judgePaths, type PathTrial } from "./index.ts";

const mptcp: Attempt = { result: "mptcp", duration: 1 };
const tcp: Attempt = { result: "tcp", duration: 1 };
const silence: Attempt = { result: "silence" };
const refused: Attempt = { result: "failed", errno: 111 };

function trial(withMptcp: readonly Attempt[], plain?: Attempt, remote = "198.51.100.1"): PathTrial {
  const addresses = { local: "10.0.1.1" as Address, remote: remote as Address };
  return { ...addresses, device: "eth0", withMptcp, plain, join: undefined, joinNote: "" };
}

const GOOD = trial([mptcp]);

describe("the verdict on a path", () => {
  for (const [what, trials, verdict] of [
    ["agreed at once", [GOOD], "survives"],
    ["agreed at the second try", [trial([silence, mptcp])], "survives"],
    ["plain twice, to a host that speaks MPTCP elsewhere", [trial([tcp, tcp], tcp), GOOD], "does not survive"],
    ["plain twice, nobody knows of the host", [trial([tcp, tcp], tcp)], "unknown"],
    ["plain twice, another host speaks MPTCP", [trial([tcp, tcp], tcp), trial([mptcp], undefined, "x")], "unknown"],
    ["plain once", [trial([tcp]), GOOD], "unknown"],
    ["silence twice where plain TCP works", [trial([silence, silence], tcp), GOOD], "does not survive"],
    ["silence twice where plain TCP works, host unknown", [trial([silence, silence], tcp)], "unknown"],
    ["silence twice, plain TCP not compared", [trial([silence, silence]), GOOD], "unknown"],
    ["dead for everything", [trial([silence, silence], silence), GOOD], "unknown"],
    ["refused", [trial([refused, refused], refused), GOOD], "unknown"],
    ["attempts disagree", [trial([tcp, silence], tcp), GOOD], "unknown"],
    ["nothing tried", [trial([]), GOOD], "unknown"],
  ] as const) {
    test(`${what}: ${verdict}`, () => {
      const [judged] = judgePaths(trials);
      assert.equal(judged?.verdict, verdict);
      assert.notEqual(judged?.because, "");
    });
  }
});
