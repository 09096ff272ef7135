import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Invocation, SCRIPT } from "./script.ts";
import { IP, type Outcome, runCommand, runSubflow, TestNamespace, whyNoKernel } from "./support.ts";

const skip = whyNoKernel();

describe("the same invocations as ip mptcp", { skip }, () => {
  let theirs: TestNamespace;
  let ours: TestNamespace;
  before(() => {
    theirs = new TestNamespace();
    ours = new TestNamespace();
  });
  after(() => {
    theirs?.remove();
    ours?.remove();
  });

  test("the script is long enough to mean something", () => {
    assert.ok(SCRIPT.length >= 60);
  });

  for (const [index, invocation] of SCRIPT.entries()) {
    const { options = [], words } = invocation;
    test(`${index + 1}: ${[...options, "mptcp", words].join(" ")}`, () => {
      const list = words === "" ? [] : words.split(" ");
      const expected = runCommand(IP, ["-n", theirs.name, ...options, "mptcp", ...list]);
      const actual = runSubflow("-n", ours.name, ...options, ...list);
      compare(invocation, { expected, actual });
    });
  }
});

function compare({ differs }: Invocation, { expected, actual }: { expected: Outcome; actual: Outcome }): void {
  const said = `ip said on stderr: ${expected.stderr.trim()}\nours: ${actual.stderr.trim()}`;
  assert.equal(actual.exitStatus, differs?.exitStatus ?? expected.exitStatus, `exit status; ${said}`);
  if (differs?.stdout !== "*") assert.equal(actual.stdout, differs?.stdout ?? expected.stdout, `stdout; ${said}`);
  if (!differs) assert.equal(complaint(actual.stderr), complaint(expected.stderr));
}

/** The first line of what was said on stderr, without our warnings and without the name of the program. */
function complaint(stderr: string): string {
  const [line = ""] = stderr.split("\n").filter((text) => !text.startsWith("Warning: "));
  return line.replace("ip mptcp help", "subflow help").replace("ip -help", "subflow --help");
}
