import assert from "node:assert/strict";
import { test } from "node:test";
import { established, idle, types } from "../../test/fixtures/engine.ts";
import { ERRNO } from "../types/index.ts";
import type { Action } from "./actions.ts";
import { Engine } from "./engine.ts";
import type { Rule } from "./rules/rule.ts";

const named = (name: string) => ({ ...idle, name });
const policies = [named("plain"), named("ruled"), named("asked")] as const;
const OF_USER: Rule = { name: "theirs", match: { users: [1000] }, policy: "ruled" };

function engineWith(...rules: Rule[]): Engine {
  const engine = new Engine({ policies });
  engine.handle({ type: "config.changed", policy: "plain", rules }, 0);
  return engine;
}

const planned = (engine: Engine): string | undefined => engine.connection(1)?.policy;
const own = { socket: { uid: 1000, cgroup: undefined } };
const refusal = (actions: readonly Action[]) =>
  actions.map((each) => (each.type === "command.answer" ? each.errno : -1));
const set = (policy: string) => ({
  type: "command.received" as const,
  request: 1,
  command: { type: "policy.set" as const, token: 1, policy, given: {} },
});
const unset = { type: "command.received" as const, request: 2, command: { type: "policy.unset" as const, token: 1 } };

test("a policy that was asked for goes back to what the rules say now", () => {
  const engine = engineWith({ name: "all", match: {}, policy: "ruled" });
  engine.handle(established(1), 0);
  assert.equal(planned(engine), "ruled");
  engine.handle(set("asked"), 1);
  engine.handle({ type: "config.changed", policy: "plain", rules: [] }, 2);
  assert.equal(planned(engine), "asked", "a reload changes nothing of it");
  assert.deepEqual(refusal(engine.handle(unset, 3)), [0]);
  assert.equal(planned(engine), "plain");
  assert.deepEqual(refusal(engine.handle(unset, 4)), [0], "nothing was asked for: nothing changes");
  assert.deepEqual(refusal(engine.handle({ ...unset, command: { ...unset.command, token: 9 } }, 5)), [ERRNO.ENOENT]);
});

test("whose a connection is becomes known after somebody has asked: what was asked for stays", () => {
  const engine = engineWith(OF_USER);
  assert.deepEqual(types(engine.handle(established(1), 0)), ["owner.query"]);
  engine.handle(set("asked"), 1);
  engine.handle({ type: "connection.owner", token: 1, owner: own }, 2);
  assert.equal(planned(engine), "asked");
  engine.handle(unset, 3);
  assert.equal(planned(engine), "ruled", "it is known by now");
});

test("whose it is is looked up anew where a rule that came meanwhile asks for it", () => {
  const engine = engineWith();
  engine.handle(established(1), 0);
  engine.handle(set("asked"), 1);
  engine.handle({ type: "config.changed", policy: "plain", rules: [OF_USER] }, 2);
  assert.ok(types(engine.handle(unset, 3)).includes("owner.query"));
  assert.equal(planned(engine), "plain");
  engine.handle({ type: "connection.owner", token: 1, owner: own }, 4);
  assert.equal(planned(engine), "ruled");
});
