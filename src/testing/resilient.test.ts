import assert from "node:assert/strict";
import { test } from "node:test";
import { TIMING } from "../engine/index.ts";
import { resilient } from "../policies/index.ts";
import { ERRNO } from "../types/index.ts";
import { Stage, type StageOptions } from "./stage.ts";

const staged = (options: Omit<StageOptions, "policy">) => new Stage({ policy: resilient, ...options });

/** Local and remote numbers of the subflows of a stage. */
const endsOf = ({ subflows }: Stage): [string[], string[]] => {
  const pairs = subflows.split(" ").map((name) => name.split(">") as [string, string]);
  return [pairs.map(([local]) => local), pairs.map(([, remote]) => remote)];
};

for (const locals of [1, 2, 3, 4]) {
  for (const remotes of [1, 2, 3, 4]) {
    test(`resilient: ${locals} by ${remotes}: as few subflows as are needed cover every address, and none is in all`, () => {
      const stage = staged({ locals, remotes, limits: { subflows: Math.max(locals, remotes) - 1 } });
      stage.pass(1000);
      const [from, to] = endsOf(stage);
      assert.equal(new Set(from).size, locals, stage.subflows);
      assert.equal(new Set(to).size, remotes, stage.subflows);
      for (const [ends, count] of [
        [from, locals],
        [to, remotes],
      ] as const) {
        assert.ok(count === 1 || ends.some((end) => end !== ends[0]), stage.subflows);
      }
    });
  }
}

test("resilient: as far as the limits allow, every pair", () => {
  const stage = staged({ locals: 2, remotes: 3 });
  stage.pass(1000);
  assert.equal(stage.subflows, "0>0 0>1 0>2 1>0 1>1 1>2");
});

test("resilient: a server announces, and opens nothing", () => {
  const stage = staged({ side: "server", locals: 3 });
  stage.pass(10_000);
  const asked = stage.log.map(({ action }) => action.type).filter((type) => type !== "connection.inspect");
  assert.deepEqual(asked, ["address.announce", "address.announce"]);
});

/** A server with two addresses, and every subflow that a peer with two can open. */
function serving(): Stage {
  const stage = staged({ side: "server", locals: 2, remotes: 2 });
  stage.pass(1000);
  stage.join(0, 1);
  stage.join(1, 0);
  stage.join(1, 1);
  stage.log.length = 0;
  return stage;
}

const asked = (stage: Stage): string[] =>
  stage.log.map(({ action }) => action.type).filter((type) => !/inspect|answer/.test(type));

test("resilient: nothing that is lost is taken back at once from a server's peers: only they could open it again", () => {
  const stage = serving();
  for (const n of [0, 1]) {
    stage.lose(n);
    stage.pass(5000);
    stage.addAddress(n);
    stage.pass(1000);
  }
  assert.deepEqual([stage.subflows, asked(stage)], ["0>0 0>1 1>0 1>1", []]);
});

test("resilient: an address that goes for good is taken back, also when its link had failed before", () => {
  const stage = serving();
  stage.hasAddresses(0, 1);
  stage.lose(1);
  stage.pass(60_000);
  assert.deepEqual(asked(stage), [], "its link has failed, and it is there");
  stage.hasAddresses(0);
  stage.pass(TIMING.returnMax - 1);
  stage.hasAddresses(0, 1);
  stage.hasAddresses(0);
  stage.pass(TIMING.returnMax - 1);
  assert.deepEqual(asked(stage), [], "it may come back");
  stage.pass(1000);
  assert.deepEqual([stage.subflows, asked(stage)[0]], ["0>0 0>1", "address.remove"]);
});

test("resilient: a server's initial address that returns is announced, as the peer cannot know otherwise", () => {
  const stage = serving();
  for (let time = 0; time < 2; time++) {
    stage.removeAddress(0);
    stage.pass(1000);
    assert.equal(stage.subflows, "1>0 1>1", `time ${time}`);
    stage.log.length = 0;
    stage.addAddress(0);
    stage.pass(1000);
    assert.deepEqual(asked(stage), ["address.announce"], `time ${time}`);
    stage.join(0, 0);
    stage.join(0, 1);
    stage.pass(1000);
    assert.equal(stage.subflows, "0>0 0>1 1>0 1>1", `time ${time}`);
  }
});

test("resilient: what was reset is opened again, later each time that it is, and at once when it has lasted", () => {
  const stage = staged({});
  stage.pass(20_000);
  const gaps: number[] = [];
  for (let time = 0; time < 6; time++) {
    stage.reset(1, 0);
    const lost = stage.now;
    stage.pass(20_000);
    gaps.push((stage.attempts(1, 0).at(-1) ?? 0) - lost);
    stage.pass(1);
  }
  assert.ok(
    gaps.every((gap) => gap < 300),
    `each had lasted: ${gaps}`,
  );
  stage.path(1, 0, "refusing");
  stage.reset(1, 0);
  const from = stage.attempts(1, 0).length;
  stage.pass(3_600_000);
  const refused = stage.attempts(1, 0).slice(from);
  const waits = refused.slice(1).map((at, index) => at - (refused[index] as number));
  assert.equal(refused.length, 7, "then it is given up: with the loss, eight in a row");
  assert.ok(
    waits.every((wait, index) => index === 0 || wait > 1.2 * (waits[index - 1] as number)),
    waits.join(),
  );
});

test("resilient: a path that drops SYNs is tried again, from 0.2 s to 5 min, for ever", () => {
  const stage = staged({});
  stage.path(1, 0, "silent");
  stage.pass(0);
  stage.pass(4 * 3_600_000);
  const tries = stage.attempts(1, 0);
  const waits = tries.slice(1).map((at, index) => at - (tries[index] as number));
  assert.ok((waits[0] as number) < 4500, "the first SYN has its four seconds");
  assert.ok(Math.max(...waits) <= 1.25 * 300_000 + 4000);
  assert.ok(tries.length > 40 && tries.length < 80, `${tries.length} in four hours`);
  stage.path(1, 0, "open");
  stage.networkChanged();
  stage.pass(4000);
  assert.equal(stage.subflows, "0>0 1>0", "a change of the network is a reason to try at once");
});

test("resilient: an endpoint or an announcement that comes back is a reason to try at once", () => {
  const stage = staged({ locals: 2, remotes: 2 });
  stage.path(1, 1, "refusing");
  stage.pass(3_600_000);
  assert.equal(stage.subflows, "0>0 0>1 1>0");
  const { length } = stage.attempts(1, 1);
  assert.equal(length, 8);
  stage.announce(1);
  stage.pass(10);
  assert.equal(stage.attempts(1, 1).length, length + 1);
  stage.path(1, 1, "open");
  stage.removeAddress(1);
  stage.pass(1000);
  assert.equal(stage.subflows, "0>0 0>1");
  stage.addAddress(1);
  stage.pass(1000);
  assert.equal(stage.subflows, "0>0 0>1 1>0 1>1");
});

test("resilient: where one pair fails another covers its address, and the place of the first is kept", () => {
  const stage = staged({ locals: 2, remotes: 2, limits: { subflows: 2 } });
  stage.path(1, 0, "refusing");
  stage.path(1, 1, "refusing");
  stage.pass(2000);
  assert.equal(stage.subflows, "0>0 0>1");
  stage.path(1, 1, "open");
  stage.pass(60_000);
  assert.equal(stage.subflows, "0>0 0>1 1>1");
});

test("resilient: what the peer takes back is left alone until it is announced again", () => {
  const stage = staged({ locals: 1, remotes: 2 });
  stage.pass(1000);
  assert.equal(stage.subflows, "0>0 0>1");
  stage.withdraw(1);
  stage.pass(3_600_000);
  assert.equal(stage.attempts(0, 1).length, 1);
  stage.announce(1);
  stage.pass(100);
  assert.equal(stage.subflows, "0>0 0>1");
});

test("resilient: the peer's initial address, which it cannot announce again, is tried again when it was taken back", () => {
  const stage = staged({ locals: 1, remotes: 2 });
  stage.pass(20_000);
  stage.path(0, 0, "silent");
  stage.withdraw(0);
  stage.pass(4000);
  assert.equal(stage.subflows, "0>1");
  stage.path(0, 0, "open");
  stage.pass(3000);
  assert.equal(stage.subflows, "0>0 0>1");
});

test("resilient: a peer that denies joins to its initial address gets them to the others", () => {
  const stage = staged({ locals: 2, remotes: 2, denyJoinId0: true });
  stage.pass(1000);
  assert.equal(stage.subflows, "0>0 0>1 1>1");
});

test("resilient: the initial subflow's pair is opened anew when it is lost", () => {
  const stage = staged({});
  stage.pass(1000);
  stage.reset(0, 0, ERRNO.ETIMEDOUT);
  stage.pass(1000);
  assert.equal(stage.subflows, "0>0 1>0");
});

test("resilient: a peer that announces and takes back without end costs the connection no path", () => {
  const stage = new Stage({ policy: resilient, locals: 2 });
  stage.pass(1000);
  stage.lose(1);
  for (let n = 1; n <= 100; n++) {
    stage.path(0, n, "refusing");
    stage.announce(n);
    stage.pass(1);
    stage.withdraw(n); // before the refusal is here
    stage.pass(500);
  }
  stage.addAddress(1);
  stage.pass(5000);
  assert.equal(stage.subflows, "0>0 1>0");
});
