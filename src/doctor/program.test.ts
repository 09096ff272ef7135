import assert from "node:assert/strict";
import { test } from "node:test";
import { diagnoseProgram, type Fallback, type ProcessUse, type ProgramFacts } from "./program.ts";

const FACTS: ProgramFacts = {
  name: "curl",
  path: "/usr/bin/curl",
  enabled: true,
  obstacle: undefined,
  madeBy: [],
  processes: [],
  hidden: 0,
};
const USE: ProcessUse = { pid: 7, unit: undefined, mptcp: 0, tcp: 0, fellBack: [], listens: { mptcp: [], tcp: [] } };

/** "warning program-asks subflow exec curl ..." of each finding that is not ok. */
function found(more: Partial<ProgramFacts>): string[] {
  return diagnoseProgram({ ...FACTS, ...more })
    .filter(({ level }) => level !== "ok")
    .map(({ id, level, fix }) => [level, id, ...fix.map((step) => step.type === "shell" && step.command)].join(" "));
}

test("doctor COMMAND: a program that nothing makes ask, running or not, as a service or not", () => {
  assert.deepEqual(found({}), ["warning program-asks subflow exec curl ...", "note program-running"]);
  const web = { ...USE, unit: "web.service", tcp: 2, listens: { mptcp: [], tcp: [80] } };
  assert.deepEqual(found({ processes: [web] }), [
    "warning program-asks subflow enable web.service --now",
    "warning program-tcp",
  ]);
});

test("doctor COMMAND: enabled after it was started: its sockets are older, a restart mends it", () => {
  const facts = { processes: [{ ...USE, unit: "web.service", tcp: 1 }], madeBy: ["a drop-in of web.service"] };
  assert.deepEqual(found(facts), ["warning program-tcp systemctl restart web.service"]);
});

test("doctor COMMAND: no MPTCP in the kernel, off, and what cannot be preloaded", () => {
  assert.ok(found({ enabled: undefined }).includes("error program-kernel"));
  assert.ok(found({ enabled: false }).includes("error program-kernel sysctl -w net.mptcp.enabled=1"));
  assert.ok(found({ obstacle: "it is static" }).includes("warning program-preload subflow enable --all"));
  const byKernel = found({ obstacle: "it is static", madeBy: ["a rule of the kernel for every program"] });
  assert.deepEqual(byKernel, ["note program-preload", "note program-running"]);
});

test("doctor COMMAND: each way to fall back has its reason; a server whose clients use TCP is no trouble", () => {
  const fell = (reason: Fallback): string[] =>
    found({ processes: [{ ...USE, mptcp: 1, fellBack: [{ reason, count: 3 }] }] });
  for (const reason of ["refused-by-peer", "broken", "not-tried"] as const)
    assert.deepEqual(fell(reason), ["warning program-fell-back"]);
  assert.deepEqual(fell("not-asked"), ["note program-fell-back"]);
  assert.deepEqual(found({ processes: [{ ...USE, mptcp: 2 }] }), []);
});
