import assert from "node:assert/strict";
import { test } from "node:test";
import type { GivenValues, Policy } from "../engine/index.ts";
import { handover, resilient } from "../policies/index.ts";
import type { Millis } from "../types/index.ts";
import { Stage, type StageOptions } from "./stage.ts";

function staged(options: Partial<StageOptions> = {}): Stage {
  const stage = new Stage({ policy: handover, ...options });
  stage.pass(1000);
  return stage;
}

/** So many seconds, with a look once a second. */
function look(stage: Stage, seconds: number): void {
  for (let turn = 0; turn < seconds; turn++) {
    stage.pass(1000);
    stage.measure();
  }
}

const seen = ({ subflows, active }: Stage): readonly string[] => [subflows, active];
const moves = (stage: Stage): number =>
  stage.log.filter(({ action }) => action.type === "subflow.setBackup" && action.backup).length;
const given = (values: GivenValues): Partial<StageOptions> => ({ given: values });

test("handover: a Wi-Fi path that gets weak is left before anything is lost, and used again when it is strong and hold_down is over", () => {
  const stage = staged();
  stage.signal(0, -60);
  look(stage, 3);
  assert.deepEqual(seen(stage), ["0>0", "0>0"]);
  stage.signal(0, -84);
  look(stage, 1);
  assert.deepEqual(seen(stage), ["0>0 1>0", "1>0"]);
  // Above the bound is not enough, and hold_down alone is not either.
  stage.signal(0, -78);
  look(stage, 30);
  assert.deepEqual(seen(stage), ["0>0 1>0", "1>0"]);
  stage.signal(0, -70);
  assert.equal(stage.active, "0>0", "at once: it was avoided long enough");
  look(stage, 15);
  assert.deepEqual(seen(stage), ["0>0", "0>0"], "the other is closed when it was not needed for as long");
});

test("handover: strong again at once, hold_down says when it is used again", () => {
  const stage = staged();
  stage.signal(0, -84);
  look(stage, 1);
  stage.signal(0, -50);
  look(stage, 7);
  assert.equal(stage.active, "1>0");
  look(stage, 4);
  assert.equal(stage.active, "0>0");
});

test("handover: what is not known of a signal changes nothing, and neither does a bound that is off", () => {
  const stage = staged();
  stage.signal(0, undefined);
  look(stage, 3);
  assert.deepEqual(seen(stage), ["0>0", "0>0"]);
  stage.signal(0, -84);
  look(stage, 1);
  assert.equal(stage.active, "1>0");
  stage.signal(0, undefined);
  look(stage, 12);
  assert.equal(stage.active, "0>0", "nothing is known against it any more");
  for (const policy of [handover, resilient]) {
    const deaf = staged({ policy, ...(policy === handover && given({ signal: 0 })) });
    const before = seen(deaf);
    assert.deepEqual([deaf.engine.attentiveCount, [...deaf.engine.signals]], [0, []], policy.name);
    deaf.signal(0, -99);
    look(deaf, 2);
    assert.deepEqual(seen(deaf), before, policy.name);
  }
});

test("handover: another Wi-Fi takes its place only where it is 5 dB stronger; nothing is opened for nothing", () => {
  const stage = staged({ locals: 3 });
  stage.signal(1, -90);
  stage.signal(2, -82);
  stage.signal(0, -84);
  look(stage, 20);
  assert.deepEqual(seen(stage), ["0>0", "0>0"]);
  stage.signal(2, -79);
  look(stage, 1);
  assert.deepEqual(seen(stage), ["0>0 2>0", "2>0"]);
});

test("handover: the bound is a parameter", () => {
  const stage = staged(given({ signal: -60 }));
  assert.deepEqual([...stage.engine.signals], [-60, -55]);
  stage.signal(0, -59);
  look(stage, 1);
  assert.equal(stage.active, "0>0");
  stage.signal(0, -61);
  look(stage, 1);
  assert.equal(stage.active, "1>0");
});

test("handover: a path that is silent is left also for a weak one", () => {
  const stage = staged();
  stage.signal(1, -95);
  stage.path(0, 0, "silent");
  for (let turn = 0; turn < 20 && stage.active !== "1>0"; turn++) {
    stage.pass(100);
    stage.measure();
  }
  assert.equal(stage.active, "1>0");
});

test("handover: a signal that goes up and down leads to ever fewer moves", () => {
  for (const period of [500, 3000, 20_000] satisfies Millis[]) {
    const stage = staged();
    for (let at = 0; at < 3_600_000; at += period) {
      stage.signal(0, (at / period) % 2 === 0 ? -90 : -60);
      stage.pass(period);
    }
    // hold_down 10, 20, 40 ... 300 s: some fifteen rounds in an hour.
    assert.ok(moves(stage) <= 2 * 18, `${period} ms: ${moves(stage)} moves`);
  }
});

test("why: it says how strong the signal is", () => {
  const stage = staged();
  const objections = () =>
    stage.engine.why(1, stage.now)?.connection.subflows.map(({ path, objection }) => [path.local.address, objection]);
  stage.signal(0, -84);
  look(stage, 1);
  assert.deepEqual(objections(), [
    ["10.0.0.1", "its Wi-Fi signal is -84 dBm, below -80"],
    ["10.0.1.1", undefined],
  ]);
  stage.signal(0, -78);
  assert.equal(objections()?.[0]?.[1], "its Wi-Fi signal is -78 dBm; it is used again from -75 on");
  const alone = staged();
  alone.signal(1, -90);
  const reasons = alone.engine.why(1, alone.now)?.leftOut.map(({ reason }) => reason);
  assert.deepEqual(reasons, ["its Wi-Fi signal is -90 dBm, below -80"]);
});

test("a policy is asked when a signal crosses one of its bounds, is known or no more, and not otherwise", () => {
  const asked: (number | undefined)[] = [];
  const curious: Policy = {
    name: "curious",
    signals: [-70],
    plan({ subflows, signals, initial }, _memory, { type }) {
      if (type === "signal") asked.push(signals.get(initial.local.address));
      return { subflows: subflows.filter(({ state }) => state !== "closing").map((keep) => ({ keep })) };
    },
  };
  const stage = staged({ policy: curious });
  for (const dbm of [-60, -62, -69, -70, -71, -80, -60, undefined, undefined]) stage.signal(0, dbm);
  assert.deepEqual(asked, [-60, -71, -60, undefined]);
});

test("what is foreseen for a new connection depends on the signal", () => {
  const stage = staged();
  stage.signal(0, -60);
  const before = stage.engine.revision;
  stage.signal(0, -60);
  assert.equal(stage.engine.revision, before);
  stage.signal(0, -84);
  assert.notEqual(stage.engine.revision, before);
});

test("who is attentive is known, also when another policy is asked for", () => {
  const stage = staged({ others: [resilient] });
  assert.equal(stage.engine.attentiveCount, 1);
  stage.setPolicy("resilient");
  assert.equal(stage.engine.attentiveCount, 0);
  stage.setPolicy("handover", { signal: "-70dBm" });
  assert.deepEqual([...stage.engine.signals], [-70, -65]);
  assert.match(stage.setPolicy("handover", { signal: "loud" }) ?? "", /"loud" is not a signal strength as "-80dBm"/);
});
