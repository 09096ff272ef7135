import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { eventually, IP, RunningSubflow, TestConnection, TestNamespace, whyNoKernel } from "./support.ts";

const skip = whyNoKernel();

describe("the same events as ip mptcp monitor", { skip }, () => {
  let namespace: TestNamespace;
  let ours: RunningSubflow;
  let theirs: ChildProcess;
  let theirOutput = "";

  before(() => {
    namespace = new TestNamespace();
    namespace.inside("mptcp", "limits", "set", "subflows", "2");
    namespace.inside("mptcp", "endpoint", "add", "10.0.2.1", "subflow", "backup");
    ours = new RunningSubflow("-n", namespace.name, "monitor");
    theirs = spawn(IP, ["-n", namespace.name, "mptcp", "monitor"], { stdio: ["ignore", "pipe", "ignore"] });
    theirs.stdout!.setEncoding("utf8").on("data", (text: string) => {
      theirOutput += text;
    });
  });
  after(async () => {
    theirs?.kill("SIGINT");
    await ours?.end("SIGINT");
    namespace?.remove();
  });

  test("line by line", async () => {
    const closed = (text: string): number => text.match(/ CLOSED\]/g)?.length ?? 0;
    // Neither says when it listens: connections come and go until both have seen one end.
    await eventually("an event in both", async () => {
      await connectOnce();
      return closed(ours.stdout) > 0 && closed(theirOutput) > 0 ? true : undefined;
    });
    const seen = tokens(theirOutput);
    const token = await eventually("a connection that both saw whole", async () => {
      await connectOnce();
      return [...tokens(theirOutput)].find(
        (one) => !seen.has(one) && whole(theirOutput, one) && whole(ours.stdout, one),
      );
    });
    assert.deepEqual(about(ours.stdout, token), about(theirOutput, token));
  });

  async function connectOnce(): Promise<void> {
    const connection = await TestConnection.open(namespace);
    await connection.exchange();
    await connection.close();
  }
});

function tokens(text: string): Set<string> {
  return new Set([...text.matchAll(/token=([0-9a-f]{8})/g)].map((match) => match[1]!));
}

function whole(text: string, token: string): boolean {
  const lines = about(text, token);
  const has = (name: string): boolean => lines.some((line) => line.startsWith(`[${name}]`));
  // A short connection may end before its join is established: another one will not.
  return lines[0]?.startsWith("[CREATED]") === true && has("SF_ESTABLISHED") && has("CLOSED");
}

/** The lines about a connection; older versions of iproute2 pad less and print the flags as a number. */
function about(text: string, token: string): string[] {
  const lines = text.split("\n").filter((line) => line.includes(`token=${token}`));
  return lines.map((line) => line.replace(/^\[ +/, "[").replace(/ flags=(0x)?2$/, " server_side"));
}
