import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { NetlinkError } from "../../netlink/index.ts";
import { CodecError } from "../../wire/index.ts";
import { installLastResort } from "./last-resort.ts";

/** Raises errors as the loop would; tells what became of them. */
function resort(context: TestContext) {
  const listeners: ((error: unknown) => void)[] = [];
  context.mock.method(process, "on", (_event: string, listener: (error: unknown) => void) => listeners.push(listener));
  const said: string[] = [];
  context.mock.method(process, "exit", (status: number) => said.push(`exit ${status}`));
  let time = 0;
  installLastResort({
    onFailure: (error) => said.push(`failure: ${error.message}`),
    onFault: (error) => {
      said.push(`fault: ${error}`);
      if (error === "twice") throw new Error("while it was put back");
    },
    now: () => time,
  });
  const raise = (error: unknown): string[] => {
    try {
      for (const listener of listeners) listener(error);
    } catch {
      // The real process.exit does not return.
    }
    return said.splice(0);
  };
  return { raise, later: (milliseconds: number) => (time += milliseconds) };
}

const file = () => Object.assign(new Error("EIO"), { code: "EIO", syscall: "read" });

test("last resort: a system call that failed costs a turn, a fault of ours the daemon", (context) => {
  const { raise } = resort(context);
  assert.deepEqual(raise(file()), ["failure: EIO"]);
  assert.match(raise(new NetlinkError("list links", { errno: 12 }))[0] ?? "", /^failure: list links: ENOMEM/);
  assert.deepEqual(raise(new TypeError("ours")), ["fault: TypeError: ours", "exit 70"]);
  assert.deepEqual(raise(file()), [], "nothing once it ends");
});

for (const [what, error] of [
  ["bytes that we cannot read", new CodecError("cut", 1, "an event")],
  ["what is no error", undefined],
  ["one whose putting back fails too", "twice"],
] as const) {
  test(`last resort: the daemon ends with its own status: ${what}`, (context) => {
    assert.equal(resort(context).raise(error).at(-1), "exit 70");
  });
}

test("last resort: a world in which everything fails is no place to stay", (context) => {
  const { raise, later } = resort(context);
  for (let failures = 0; failures < 100; failures++) {
    later(3001);
    assert.equal(raise(file()).length, 1, "one in three seconds goes on for ever");
  }
  for (let failures = 0; ; failures++) {
    const said = raise(file());
    if (said.at(-1) === "exit 70") break;
    assert.ok(failures < 21);
  }
});
