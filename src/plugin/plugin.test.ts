import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { ConnectionView, Policy, PolicyAsk, PolicyPlanned } from "../engine/index.ts";
import { activeBackup, onePerInterface, policies, resilient } from "../policies/index.ts";
import { Stage } from "../testing/index.ts";
import { loadPolicy, Runner } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "subflow-plugin-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const NAME = "plugin:mine";
const USE = { policy: NAME };

/** Like a process of its own: what goes in and out is text. */
function answering(policy: Policy, log: PolicyAsk[] = []) {
  const runner = new Runner(policy);
  return (question: PolicyAsk): PolicyPlanned => {
    log.push(question);
    const { view, occasion, memory, given, token, version } = question;
    const line = JSON.stringify({ type: "plan", id: 1, view, occasion, memory, given });
    const answer = JSON.parse(JSON.stringify(runner.answer(line)));
    const [plan, fault] = answer.type === "plan" ? [answer.plan, ""] : [undefined, answer.fault];
    return { type: "policy.planned", token, version, plan, fault };
  };
}

/** A connection whose policy is elsewhere. */
function stageWith(
  onAsk: ((question: PolicyAsk) => PolicyPlanned | undefined) | undefined,
  locals = 3,
  given = {},
): Stage {
  const stage = new Stage({ policy: resilient, others: policies, locals, onAsk });
  stage.elsewhere(NAME, true);
  stage.setRules([{ name: "r", match: {}, ...USE, given }]);
  return stage;
}

const spare: Policy = {
  name: "spare",
  plan(view: ConnectionView) {
    const opens = view.pairs.filter(({ subflows, blocked }) => subflows.length === 0 && blocked === "");
    return {
      subflows: [
        ...view.subflows.map((keep, place) => ({ keep, backup: place > 0 })),
        ...opens.map((open) => ({ open, backup: true })),
      ],
    };
  },
};

test("plug-in: what it plans is carried out, once, and what it knows nothing of yet stays", () => {
  const stage = stageWith(answering(spare), 3);
  stage.pass(2000);
  assert.equal(stage.subflows, "0>0 1>0 2>0");
  assert.equal(stage.backups, "1>0 2>0");
  assert.equal(stage.engine.connection(1)?.policy, NAME);
  stage.addAddress(3);
  stage.pass(2000);
  assert.equal(stage.backups, "1>0 2>0 3>0");
  assert.ok(stage.attempts(3, 0).length === 1);
});

test("plug-in: a built-in policy does elsewhere what it does here", () => {
  for (const policy of [resilient, onePerInterface, activeBackup as Policy]) {
    const here = new Stage({ policy, locals: 3, remotes: 2 });
    const rules = [{ name: "r", match: {}, ...USE }];
    const elsewhere = { onAsk: answering(policy), elsewhere: [NAME], rules };
    const there = new Stage({ policy: resilient, locals: 3, remotes: 2, ...elsewhere });
    for (const stage of [here, there]) {
      stage.pass(20_000);
      stage.reset(1, 0);
      stage.pass(20_000);
    }
    assert.deepEqual([there.subflows, there.backups], [here.subflows, here.backups], policy.name);
  }
});

test("plug-in: nothing for a moment, then what `resilient` plans, where it does not answer", () => {
  const stage = new Stage({ policy: resilient, locals: 2, rules: [{ name: "r", match: {}, ...USE }] });
  assert.equal(stage.engine.connection(1)?.policy, "resilient", "it is not there: the rule gives what there is");
  const silent = new Stage({ policy: resilient, others: policies, locals: 1, onAsk: () => undefined });
  silent.elsewhere(NAME, true);
  silent.setRules([{ name: "r", match: {}, ...USE }]);
  silent.addAddress(1);
  silent.pass(200);
  assert.equal(silent.subflows, "0>0");
  silent.pass(1000);
  assert.equal(silent.subflows, "0>0 1>0");
});

test("plug-in: its last plan holds while it is away; it is asked again when it is back", () => {
  const log: PolicyAsk[] = [];
  const stage = stageWith(answering(spare, log), 2);
  stage.pass(1000);
  assert.equal(stage.backups, "1>0");
  stage.elsewhere(NAME, false);
  const asked = log.length;
  stage.reset(1, 0);
  stage.pass(5000);
  assert.equal(log.length, asked);
  assert.equal(stage.subflows, "0>0 1>0", "the subflow that it wanted is opened again");
  assert.equal(stage.backups, "1>0");
  stage.elsewhere(NAME, true);
  assert.equal(log.length, asked + 1);
});

test("plug-in: a late answer, one that throws and one that wishes nonsense change nothing", () => {
  let say: (question: PolicyAsk) => PolicyPlanned | undefined = answering(spare);
  const stage = stageWith((question) => say(question), 2);
  stage.pass(1000);
  const before = stage.backups;
  say = answering({ name: "throws", plan: () => assert.fail("no") });
  stage.networkChanged();
  stage.reset(1, 0);
  stage.pass(3000);
  assert.equal(stage.backups, before);
  assert.match(stage.engine.connection(1)?.planRefused ?? "", /^AssertionError/);
  say = answering({ name: "greedy", plan: () => ({ subflows: [{ keep: {} as never }] }) });
  stage.reset(1, 0);
  stage.pass(3000);
  assert.equal(stage.subflows, "0>0 1>0", "a subflow that there is not");
  say = ({ token, version }) => ({
    type: "policy.planned",
    token,
    version: version - 1,
    plan: { subflows: [] },
    fault: "",
  });
  stage.reset(1, 0);
  stage.pass(3000);
  assert.equal(stage.subflows, "0>0 1>0");
});

test("plug-in: the last subflow is not closed, whatever it plans", () => {
  const stage = stageWith(answering({ name: "none", plan: () => ({ subflows: [] }) }), 2);
  stage.pass(10_000);
  assert.notEqual(stage.subflows, "");
});

test("plug-in: its memory comes back with each question, and parameters are what was given", () => {
  const log: PolicyAsk[] = [];
  const counting: Policy<number> = {
    name: "counting",
    parameters: { wait: { type: "duration", about: "", default: 5, min: 0, max: 1e6 } },
    begin: () => 0,
    plan: (view, times, _occasion, { wait }) => ({
      subflows: view.subflows.map((keep) => ({ keep })),
      memory: times + Number(wait),
      wakeAt: view.now + 1000,
    }),
  };
  const stage = stageWith(answering(counting as Policy, log), 2, { wait: "2s" });
  stage.pass(5000);
  const memories = log.map(({ memory }) => Number(memory ?? 0));
  assert.deepEqual(
    memories,
    memories.toSorted((a, b) => a - b),
  );
  assert.ok((memories.at(-1) ?? 0) >= 6000, `${memories}`);
  assert.equal(stage.engine.connection(1)?.policy, `${NAME} wait=2s`);
  const wrong = stageWith(answering(counting as Policy), 2, { wiat: "2s" });
  wrong.pass(1000);
  assert.match(wrong.engine.connection(1)?.planRefused ?? "", /has no parameter wiat; it has wait/);
});

test("plug-in: it sees how strong Wi-Fi is received, and is asked when that crosses a bound of its own", () => {
  const seen: unknown[] = [];
  const policy: Policy = {
    name: "wary",
    signals: [-80],
    plan({ subflows, signals }, _memory, { type }) {
      seen.push([type, ...signals]);
      return { subflows: subflows.map((keep) => ({ keep })) };
    },
  };
  const { hello } = new Runner(policy);
  assert.deepEqual(hello.type === "hello" && hello.signals, [-80]);
  const stage = stageWith(answering(policy), 2);
  stage.elsewhere(NAME, true, { signals: [-80] });
  stage.pass(1000);
  assert.deepEqual([...stage.engine.signals], [-80]);
  seen.length = 0;
  for (const dbm of [-60, -70, -84]) {
    stage.signal(0, dbm);
    stage.pass(1000);
  }
  assert.deepEqual(seen, [
    ["signal", ["10.0.0.1", -60]],
    ["signal", ["10.0.0.1", -84]],
  ]);
  stage.elsewhere(NAME, true, { signals: [] });
  assert.equal(stage.engine.attentiveCount, 0);
});

test("plug-in: a module is refused with what is missing", async () => {
  const load = async (text: string, name = "p.mjs"): Promise<string> => {
    const file = join(folder, `${Math.abs(hash(text))}-${name}`);
    writeFileSync(file, text);
    return loadPolicy(file).then<string, string>(
      ({ name: found }) => `loaded ${found}`,
      (error: Error) => error.message.slice(file.length + 2),
    );
  };
  assert.equal(await load("export const policy = { name: 'a', plan: () => ({ subflows: [] }) }"), "loaded a");
  assert.equal(await load("export const polcy = 1"), "it exports no `policy`");
  assert.equal(await load("export const policy = { plan() {} }"), "its policy has no name");
  assert.equal(await load("export const policy = { name: 'a' }"), "its policy has no function `plan`");
  assert.match(await load("export const policy = { name: 'a', plan() {}, measures: 1 }"), /no time of at least 50 ms/);
  for (const signals of ["-80", "[-80, '-70']", "[NaN]", "Array(17).fill(-80)"])
    assert.match(
      await load(`export const policy = { name: 'a', plan() {}, signals: ${signals} }`),
      /no list of at most 16 numbers \(dBm\)/,
    );
  assert.match(await load("export const policy = { name: 'a', plan() {}, tries: 'once' }"), /cannot be plug-ins/);
  assert.match(await load("throw new Error('boom')"), /^boom/);
  assert.match(await load("export const = 1"), /Unexpected token/);
  await assert.rejects(loadPolicy(join(folder, "none.mjs")), /Cannot find module/);
});

function hash(text: string): number {
  return [...text].reduce((sum: number, letter) => (Math.imul(31, sum) + letter.charCodeAt(0)) | 0, 0);
}
