import assert from "node:assert/strict";
import { test } from "node:test";
import { TIMING } from "../engine/index.ts";
import { resilient, standard } from "../policies/index.ts";
import { ERRNO, type Millis } from "../types/index.ts";
import { Stage, type StageOptions } from "./stage.ts";

const LOOK: Millis = 20;

/** A connection whose subflows are all there. */
function staged(options: Partial<StageOptions> = {}): Stage {
  const stage = new Stage({ policy: resilient, ...options });
  stage.pass(1000);
  return stage;
}

/** Looks again and again for so long, as the daemon does while something is in doubt. */
function watch(stage: Stage, duration: Millis, figures?: Parameters<Stage["measure"]>[0]): void {
  for (const end = stage.now + duration; stage.now < end; ) {
    stage.pass(LOOK);
    stage.measure(figures);
  }
}

const types = (stage: Stage, since: Millis): string[] =>
  stage.log.filter(({ at }) => at >= since).map(({ action }) => action.type);

test("silence: a path on which nothing is acknowledged any more is left, its address taken back, and tried again", () => {
  const stage = staged();
  assert.equal(stage.subflows, "0>0 1>0");
  watch(stage, 100);
  stage.path(1, 0, "silent");
  const lost = stage.now;
  watch(stage, TIMING.silentMin + 200);
  assert.equal(stage.subflows, "0>0");
  assert.deepEqual(types(stage, lost).slice(0, 2), ["address.remove", "subflow.destroy"]);
  const [attempt] = stage.engine.connection(1)?.attempts ?? [];
  assert.equal(attempt?.silent, true);
  stage.path(1, 0, "open");
  stage.pass(5000);
  assert.equal(stage.subflows, "0>0 1>0");
});

test("silence: the initial subflow too", () => {
  const stage = staged();
  watch(stage, 100);
  stage.path(0, 0, "silent");
  watch(stage, 300);
  assert.equal(stage.subflows, "1>0");
});

test("silence: a host that is cut off altogether closes nothing", () => {
  const stage = staged({ locals: 3 });
  watch(stage, 100);
  for (const l of [0, 1, 2]) stage.path(l, 0, "silent");
  const lost = stage.now;
  watch(stage, 10_000);
  assert.equal(stage.subflows, "0>0 1>0 2>0");
  assert.ok(!types(stage, lost).includes("address.remove"));
});

test("what was lost and is there again is counted, with its time; what never was is no recovery", () => {
  const stage = staged({ locals: 3 });
  assert.equal(stage.engine.pathCounts.recoveries.count, 0);
  stage.path(1, 0, "silent");
  stage.reset(1, 0);
  stage.pass(5000);
  stage.path(1, 0, "open");
  stage.pass(5000);
  const { count, median, longest } = stage.engine.pathCounts.recoveries;
  assert.deepEqual([count, median === longest, median > 5000 && median < 10_000], [1, true, true]);
  const late = new Stage({ policy: resilient });
  late.path(1, 0, "refusing");
  late.removeAddress(1);
  late.addAddress(1);
  late.pass(100);
  late.path(1, 0, "open");
  late.pass(2000);
  assert.deepEqual([late.subflows, late.engine.pathCounts.recoveries.count], ["0>0 1>0", 0]);
});

test("silence: patience is three round trips and what they vary by", () => {
  const stage = staged({ roundTrip: 300 });
  const figures = { "0>0": { rttVar: 50 }, "1>0": { rttVar: 50 } };
  watch(stage, 100, figures);
  stage.path(1, 0, "silent");
  watch(stage, 3 * 300 + 4 * 50 - 2 * LOOK, figures);
  assert.equal(stage.subflows, "0>0 1>0");
  watch(stage, 4 * LOOK, figures);
  assert.equal(stage.subflows, "0>0");
});

test("silence: a transfer that fills its paths waits for TCP's own timeout first", () => {
  const stage = staged();
  const pour = (duration: Millis): void => {
    for (const end = stage.now + duration; stage.now < end; ) {
      stage.pass(LOOK);
      stage.measure({}, false, 1_000_000);
    }
  };
  pour(100);
  stage.path(1, 0, "silent");
  pour(220);
  assert.equal(stage.subflows, "0>0 1>0");
  pour(150);
  assert.equal(stage.subflows, "0>0");
});

test("silence: after a false alarm there is four times the patience", () => {
  const stage = staged();
  const closedAfter = (): Millis => {
    stage.path(1, 0, "silent");
    const lost = stage.now;
    while (stage.subflows.includes("1>0")) watch(stage, LOOK);
    stage.path(1, 0, "open");
    const took = stage.now - lost;
    // It answers at the first attempt.
    watch(stage, 1000);
    assert.equal(stage.subflows, "0>0 1>0");
    return took;
  };
  watch(stage, 100);
  const [first, second] = [closedAfter(), closedAfter()];
  assert.ok(second > 3 * first, `${first} ms, then ${second} ms`);
});

test("silence: a deaf link is a false alarm for all pairs of which it is an end, whichever is opened first", () => {
  const stage = staged({ locals: 2, remotes: 2, limits: { subflows: 2, addAddrAccepted: 8 } });
  watch(stage, 100);
  const own = stage.subflows.split(" ").filter((name) => name.startsWith("0"));
  for (const r of [0, 1]) stage.path(0, r, "silent");
  while (own.every((name) => stage.subflows.includes(name))) watch(stage, LOOK);
  for (const r of [0, 1]) stage.path(0, r, "open");
  watch(stage, 1000);
  assert.ok(stage.engine.connection(1)?.attempts.some(({ falseAlarms }) => falseAlarms === 1));
  for (const r of [0, 1]) stage.path(0, r, "silent");
  const lost = stage.now;
  watch(stage, 2 * (TIMING.silentMin + 50));
  assert.ok(!types(stage, lost).includes("subflow.destroy"), "it is given more time");
});

test("silence: where both ends are heard of by others, there is more patience", () => {
  const stage = staged({ locals: 2, remotes: 2 });
  watch(stage, 100);
  stage.path(0, 0, "silent");
  watch(stage, TIMING.silentMin + 100);
  assert.equal(stage.subflows, "0>0 0>1 1>0 1>1", "it may be full");
  watch(stage, 4 * (TIMING.silentMin + 100));
  assert.equal(stage.subflows, "0>1 1>0 1>1");
});

test("silence: a local address that was withdrawn rests: the peer closes what comes from there meanwhile", () => {
  const stage = staged();
  watch(stage, 100);
  stage.path(1, 0, "silent");
  while (stage.subflows.includes("1>0")) watch(stage, LOOK);
  stage.announce(1);
  watch(stage, TIMING.retryMin / 2);
  assert.equal(stage.subflows, "0>0 0>1");
  watch(stage, 2 * TIMING.retryMin);
  assert.equal(stage.subflows, "0>0 0>1 1>1");
});

test("silence: what shares an end with it becomes backup, is asked, and is trusted again when it answers", () => {
  const stage = staged({ locals: 2, remotes: 2 });
  assert.equal(stage.subflows, "0>0 0>1 1>0 1>1");
  watch(stage, 100);
  // Nothing is on its way on 0>1 and 1>0: they are not heard of, whatever their paths are.
  const idle = (since: Millis) => ({ sinceAck: since, sinceReceived: since, unacked: 0 });
  stage.path(0, 0, "silent");
  const lost = stage.now;
  while (stage.subflows.includes("0>0")) {
    stage.pass(LOOK);
    const since = stage.now - lost + 500;
    stage.measure({ "0>1": idle(since), "1>0": idle(since) });
  }
  assert.equal(stage.backups, "0>1 0>1 1>0 1>0", "themselves and the joins that ask their paths");
  stage.pass(100);
  assert.equal(stage.backups, "");
  assert.equal(stage.subflows, "0>1 1>0 1>1");
});

test("silence: data behind a hole: the path that is not heard of is asked, and left when it does not answer", () => {
  const stage = staged();
  const incoming = (received: number) => ({
    "0>0": { unacked: 0, sinceAck: 0, sinceReceived: 0, bytesReceived: 5000 + received },
    "1>0": { unacked: 0, sinceAck: 400, sinceReceived: 400, bytesReceived: 5000 },
  });
  stage.path(1, 0, "silent");
  for (let turn = 0; turn < 20; turn++) {
    stage.pass(LOOK);
    stage.hole(10_000, incoming(turn * 1000));
  }
  assert.equal(stage.subflows, "0>0");
  assert.equal(stage.attempts(1, 0).length >= 2, true, "the join that asks, and at least one that tries again");
});

test("silence: data behind a hole: what shares the address is asked at the same time, so that the peer hears of it at once", () => {
  const stage = staged({ locals: 2, remotes: 2 });
  assert.equal(stage.subflows, "0>0 0>1 1>0 1>1");
  stage.path(1, 0, "silent");
  stage.path(1, 1, "silent");
  const lost = stage.now;
  for (let turn = 0; turn < 20; turn++) {
    stage.pass(LOOK);
    const since = stage.now - lost;
    const silent = { unacked: 0, sinceAck: since, sinceReceived: since, bytesReceived: 5000 };
    // The peer's data came by one of the two; on the other nothing did for long.
    stage.hole(10_000, {
      "0>0": { unacked: 0, sinceAck: 0, sinceReceived: 0, bytesReceived: 5000 + turn * 1000 },
      "0>1": { unacked: 0, bytesReceived: 0, sinceAck: 9000 + since, sinceReceived: 9000 + since },
      "1>0": silent,
      "1>1": { ...silent, sinceAck: 9000 + since, sinceReceived: 9000 + since, bytesReceived: 0 },
    });
  }
  assert.equal(stage.attempts(1, 0)[1], stage.attempts(1, 1)[1], "both are asked at one time");
  const removed = stage.log.find(({ action }) => action.type === "address.remove")?.at ?? Number.POSITIVE_INFINITY;
  assert.ok(removed <= lost + TIMING.holeMin + TIMING.probeMin + 3 * 20 + 3 * LOOK, `${removed - lost} ms`);
});

test("silence: one that answers the question stays, and the question goes", () => {
  const stage = staged();
  for (let turn = 0; turn < 20; turn++) {
    stage.pass(LOOK);
    stage.hole(10_000, {
      "0>0": { bytesReceived: 5000 + turn * 1000 },
      "1>0": { unacked: 0, sinceAck: 400, sinceReceived: 400, bytesReceived: 5000 },
    });
  }
  assert.equal(stage.subflows, "0>0 1>0");
  assert.equal(stage.engine.snapshot().counters.silent, 0);
  assert.ok(stage.engine.snapshot().counters.probes > 0);
});

test("silence: nothing comes in any more: each path is asked once, then ever more seldom", () => {
  const stage = staged();
  const before = stage.engine.snapshot().counters.probes;
  for (let turn = 0; turn < 60; turn++) {
    stage.measure({ "0>0": { sinceReceived: 60 }, "1>0": { sinceReceived: 60 } }, true);
    stage.pass(1000);
  }
  const probes = stage.engine.snapshot().counters.probes - before;
  assert.equal(probes, 2 * 3, "at 0, 10 and 30 seconds, two paths each");
  assert.equal(stage.subflows, "0>0 1>0");
});

test("silence: a pause is asked about soon once, the next one only when it lasts", () => {
  const stage = staged();
  const probes = (): number => stage.engine.snapshot().counters.probes;
  const pauses = (lasting: Millis): void => {
    for (let pause = 60; pause <= lasting; pause += LOOK) {
      const both = { sinceReceived: pause, sinceAck: pause };
      stage.measure({ "0>0": both, "1>0": both }, pause === 60);
      stage.pass(LOOK);
    }
    stage.measure();
    stage.pass(500);
    stage.measure();
  };
  pauses(60);
  assert.equal(probes(), 2, "the first, at once");
  pauses(200);
  assert.equal(probes(), 2, "the second is over before");
  pauses(TIMING.pauseMin + 2 * LOOK);
  assert.equal(probes(), 4, "this one lasts");
  pauses(TIMING.pauseMin + 2 * LOOK);
  assert.equal(probes(), 4, "not each one that lasts");
  assert.equal(stage.subflows, "0>0 1>0");
});

test("silence: data that stop for good soon after a pause that was none are missed too", () => {
  const stage = staged();
  const still = (since: Millis) => ({ unacked: 0, sinceSent: since, sinceReceived: since, sinceAck: since });
  stage.measure({ "0>0": still(60), "1>0": still(60) }, true);
  stage.pass(500);
  stage.measure();
  stage.path(0, 0, "silent");
  for (let pause = 60; pause < 900; pause += LOOK) {
    stage.measure({ "0>0": still(pause), "1>0": still(pause) }, pause === 60);
    stage.pass(LOOK);
  }
  assert.equal(stage.subflows, "1>0");
});

test("silence: the peer sends by the backup: what it has given up is asked, and left when it is silent", () => {
  const left = (isSilent: boolean): Stage => {
    const stage = staged();
    stage.setBackup(1);
    stage.measure();
    if (isSilent) stage.path(0, 0, "silent");
    for (let since = 0; since < 3000; since += 100) {
      stage.measure({ "0>0": { unacked: 0, sinceSent: since, sinceReceived: since, sinceAck: since } });
      stage.pass(100);
    }
    return stage;
  };
  assert.equal(left(true).subflows, "1>0");
  const alive = left(false);
  assert.equal(alive.subflows, "0>0 1>0");
  assert.ok(alive.engine.snapshot().counters.probes >= 1);
});

test("silence: idle paths are asked within a minute, backup and metered ones and those of unused connections are not", () => {
  const idle = (since: Millis) => ({ unacked: 0, sinceAck: since, sinceReceived: since, sinceSent: since });
  const stage = staged({ locals: 3 });
  stage.setBackup(2);
  const begun = stage.now;
  stage.path(1, 0, "silent");
  for (let turn = 0; turn < 6; turn++) {
    stage.pass(10_000);
    const since = stage.now - begun;
    stage.measure({ "0>0": idle(since), "1>0": idle(since), "2>0": idle(since) });
  }
  assert.equal(stage.subflows, "0>0 2>0");
  assert.equal(
    stage.attempts(2, 0).length,
    2,
    "the backup was opened, and asked when a path to the same address had died",
  );
  const metered = staged();
  metered.meter(1);
  metered.pass(50_000);
  metered.measure({ "0>0": idle(50_000), "1>0": idle(50_000) });
  assert.equal(metered.attempts(1, 0).length, 1, "nobody pays for a path that nobody needs");
  assert.equal(metered.attempts(0, 0).length, 1);
  const unused = staged();
  unused.pass(400_000);
  unused.measure({ "0>0": idle(400_000), "1>0": idle(400_000) });
  assert.equal(unused.engine.snapshot().counters.probes, 0);
});

/** Two paths of which the second loses a third of what is sent there, or what is said; each look is a second later. */
function lossy(outstanding: number) {
  const stage = staged();
  let acked = 0;
  let lost = 0;
  return {
    stage,
    look(share = 0.5): void {
      acked += 200_000;
      lost += share * 200_000;
      const figures = { bytesSent: acked + lost, bytesAcked: acked, bytesRetransmitted: lost };
      stage.measure({ "0>0": { bytesSent: acked, bytesAcked: acked }, "1>0": figures }, false, outstanding);
      stage.pass(1000);
    },
  };
}

test("silence: a path that loses much is backup for a while, longer the second time", () => {
  const { stage, look } = lossy(0);
  const quarantine = (): Millis => {
    for (let looks = 0; stage.backups === ""; looks++) {
      assert.ok(looks < 10);
      look();
    }
    const begun = stage.now;
    while (stage.backups !== "") stage.pass(100);
    return stage.now - begun;
  };
  const [first, second] = [quarantine(), quarantine()];
  assert.equal(stage.subflows, "0>0 1>0");
  assert.ok(second > 1.5 * first, `${first} ms, then ${second} ms`);
});

test("silence: what was lossy is so until it is well, and not just a little better", () => {
  const { stage, look } = lossy(0);
  for (let looks = 0; looks < 3; looks++) look(0.1);
  assert.equal(stage.backups, "");
  for (let looks = 0; looks < 2; looks++) look();
  assert.equal(stage.backups, "1>0");
  while (stage.backups !== "") stage.pass(100);
  for (let looks = 0; looks < 2; looks++) look(0.1);
  assert.equal(stage.backups, "1>0");
  while (stage.backups !== "") stage.pass(100);
  for (let looks = 0; looks < 3; looks++) look(0.01);
  for (let looks = 0; looks < 3; looks++) look(0.1);
  assert.equal(stage.backups, "", "it was well in between");
});

test("silence: a lossy path is used all the same while data pile up", () => {
  const { stage, look } = lossy(1_000_000);
  for (let looks = 0; looks < 20; looks++) look();
  assert.equal(stage.backups, "");
  const idle = lossy(0);
  for (let looks = 0; looks < 2; looks++) idle.look();
  assert.equal(idle.stage.backups, "1>0");
  idle.stage.measure({}, false, 1_000_000);
  assert.equal(idle.stage.backups, "", "at once");
});

test("silence: a refused question is an answer", () => {
  const stage = staged();
  stage.path(1, 0, "refusing");
  stage.measure({ "0>0": { sinceReceived: 60 }, "1>0": { sinceReceived: 60 } }, true);
  stage.pass(1000);
  assert.equal(stage.subflows, "0>0 1>0");
  assert.deepEqual(stage.engine.connection(1)?.attempts, [], "it says nothing of what is there");
});

test("silence: policies that try once leave it to the kernel", () => {
  const stage = staged({ policy: standard });
  watch(stage, 100);
  stage.path(1, 0, "silent");
  watch(stage, 2000);
  assert.equal(stage.subflows, "0>0 1>0");
  assert.equal(stage.engine.watchedCount, 0);
});

test("silence: who was reset after it was asked for is not asked about again", () => {
  const stage = staged();
  stage.path(1, 0, "silent");
  stage.measure({ "0>0": { sinceReceived: 60 }, "1>0": { sinceReceived: 60 } }, true);
  stage.reset(1, 0, ERRNO.ECONNRESET);
  stage.path(1, 0, "open");
  stage.pass(10_000);
  assert.equal(stage.subflows, "0>0 1>0");
});

test("a server whose limit is reached lets in what the peer opens anew in place of what is in doubt", () => {
  const stage = new Stage({ policy: resilient, side: "server", locals: 2, remotes: 2, limits: { subflows: 3 } });
  stage.pass(1000);
  for (const [l, r] of [
    [0, 1],
    [1, 0],
    [1, 1],
  ] as const)
    stage.join(l, r);
  stage.join(0, 0);
  watch(stage, 100);
  assert.equal(stage.subflows, "0>0 0>1 1>0 1>1", "one too many is turned down while all is well");
  // The first link of this host is dead, and only one of its subflows had data on their way.
  stage.path(0, 0, "silent");
  stage.path(0, 1, "silent");
  const idle = { "0>1": { unacked: 0 } };
  watch(stage, 400, idle);
  assert.deepEqual(
    [stage.subflows, stage.backups],
    ["0>0 0>1 1>0 1>1", "0>0 0>1"],
    "only the peer could open it again",
  );
  stage.path(0, 1, "open");
  stage.join(0, 1);
  stage.pass(1);
  assert.deepEqual([stage.subflows, stage.backups], ["0>0 0>1 1>0 1>1", "0>0"], "the new one, not both");
  stage.path(0, 0, "open");
  watch(stage, 100);
  assert.equal(stage.backups, "", "heard of again, and trusted");
});
