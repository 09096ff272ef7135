import assert from "node:assert/strict";
import { test } from "node:test";
import { Engine } from "../engine/index.ts";
import { activeBackup, fullmesh, handover, interactive } from "../policies/index.ts";
import { type Address, ENDPOINT_FLAG, type Millis, type Path } from "../types/index.ts";
import { type Figures, Stage, type StageOptions } from "./stage.ts";

// Policies by which one path carries at a time. What each must keep, whatever it decides, is held in laws.test.ts.

/** So many seconds, with a look four times a second. */
function look(stage: Stage, seconds: number, figures: Figures = {}): void {
  for (let turn = 0; turn < 4 * seconds; turn++) {
    stage.pass(250);
    stage.measure(figures);
  }
}

function settled(options: StageOptions): Stage {
  const stage = new Stage(options);
  stage.pass(1000);
  return stage;
}

const commands = (stage: Stage, type: string): number => stage.log.filter(({ action }) => action.type === type).length;

test("another policy: what was backup for the one before carries for one that says nothing of it", () => {
  const stage = settled({ policy: activeBackup, others: [fullmesh], locals: 3 });
  stage.setBackup(2);
  stage.pass(100);
  assert.equal(stage.active, "0>0");
  assert.equal(stage.setPolicy("fullmesh"), undefined);
  assert.deepEqual([stage.subflows, stage.active], ["0>0 1>0 2>0", "0>0 1>0"]);
});

/** A timeout of TCP. */
const DOUBT: Figures = { "0>0": { backoff: 1, unacked: 5 } };

test("active-backup: where the active path may be dead the next takes over, and it fails back when that is over", () => {
  const stage = settled({ policy: activeBackup });
  look(stage, 1);
  assert.equal(stage.active, "0>0");
  stage.measure(DOUBT);
  assert.equal(stage.active, "1>0");
  look(stage, 4);
  assert.equal(stage.active, "1>0");
  look(stage, 2);
  assert.equal(stage.active, "0>0");
});

test("active-backup: what costs less is preferred, also to where the connection began", () => {
  const stage = settled({ policy: activeBackup, locals: 3 });
  stage.price(0, 2);
  look(stage, 6);
  assert.equal(stage.active, "1>0");
  stage.price(2, 1);
  look(stage, 6);
  assert.equal(stage.active, "0>0", "the others cost nothing now");
});

/** Nothing was on its way there for so long. */
const idle = (since: Millis) => ({ unacked: 0, sinceAck: since, sinceReceived: since, sinceSent: since });

test("active-backup: a path goes silent: the first look moves the data, the next one closes it, so that what waits there is sent again", () => {
  const stage = settled({ policy: activeBackup });
  stage.measure({ "1>0": idle(500) });
  stage.path(0, 0, "silent");
  stage.pass(120);
  stage.measure({ "1>0": idle(620) });
  assert.deepEqual([stage.subflows, stage.active], ["0>0 1>0", "1>0"]);
  stage.pass(20);
  stage.measure();
  assert.deepEqual([stage.subflows, stage.active], ["1>0", "1>0"]);
});

test("active-backup: what is sent after a long silence of the application is no sign that the path is dead", () => {
  const stage = settled({ policy: activeBackup });
  stage.measure({ "0>0": { ...idle(500), busy: 400 }, "1>0": idle(500) });
  stage.pass(3000);
  // Sent 10 ms ago: the last acknowledgement is old, and says nothing.
  const burst = { unacked: 5, sinceAck: 3500, sinceReceived: 3500, sinceSent: 10, busy: 410 };
  stage.measure({ "0>0": burst, "1>0": idle(3500) });
  assert.equal(stage.active, "0>0");
  // Still nothing has come back: it is.
  stage.pass(120);
  stage.measure({ "0>0": { ...burst, sinceAck: 3620, sinceReceived: 3620, busy: 530 }, "1>0": idle(3620) });
  assert.equal(stage.active, "1>0");
});

test("a link is lost: the connections whose data went by it come first, those for which it was a reserve last", () => {
  const engine = new Engine({ policies: [activeBackup] });
  const [flags, port] = [ENDPOINT_FLAG.subflow, 80];
  const [first, second, peer] = ["10.0.1.1", "10.0.2.1", "10.0.9.1"] as Address[];
  const endpoints = [first, second].map((address) => ({ address: address!, flags }));
  const limits = { subflows: 2, addAddrAccepted: 0 };
  engine.handle({ type: "config.changed", endpoints, limits, policy: "active-backup" }, 0);
  const begin = (token: number, initial: Address, other: Address, now: Millis): Path => {
    const pathFrom = (address: Address, local: number): Path => ({
      local: { address, port: local },
      remote: { address: peer!, port },
    });
    const ids = { token, localId: initial === first ? 2 : 1, remoteId: 0, backup: true };
    const path = pathFrom(initial, 4000 + token);
    engine.handle({ type: "connection.established", token, side: "client", path, denyJoinId0: false }, now);
    engine.handle({ type: "subflow.established", ...ids, path: pathFrom(other, 5000 + token) }, now);
    return path;
  };
  const [RESERVE, IDLE, USING] = [1, 2, 3];
  begin(RESERVE, second!, first!, 1);
  begin(IDLE, first!, second!, 2);
  const path = begin(USING, first!, second!, 3);
  const counts = { unacked: 0, lost: 0, retransmits: 0, backoff: 0, bytesRetransmitted: 0, mss: 1400 };
  const times = { rtt: 20, rttVar: 1, rto: 220, sinceSent: 1, sinceAck: 1, sinceReceived: 1 };
  const sums = { bytesSent: 1000, bytesAcked: 1000, bytesReceived: 1000, deliveryRate: 1e6 };
  const subflows = [{ path, state: "established", ...counts, ...times, ...sums } as const];
  const seen = { isQuiet: false, bytesReceived: 1000, outstanding: 0, subflows };
  engine.handle({ type: "connection.measured", token: USING, ...seen }, 1000);
  const command = { type: "endpoint.delete", id: 1, isLoss: true } as const;
  const actions = engine.handle({ type: "command.received", request: 1, command }, 1010);
  const tokens = actions.flatMap((action) => ("token" in action ? [action.token] : []));
  assert.deepEqual([...new Set(tokens)], [USING, IDLE, RESERVE]);
});

test("active-backup: what is in doubt still is not gone back to", () => {
  const stage = settled({ policy: activeBackup });
  look(stage, 30, DOUBT);
  assert.equal(stage.active, "1>0");
  assert.equal(commands(stage, "subflow.setBackup"), 2);
});

test("active-backup: the initial subflow is active also where its address is no endpoint", () => {
  const stage = settled({ policy: activeBackup, locals: 2 });
  stage.hasAddresses(0, 1);
  assert.equal(stage.active, "0>0");
});

test("active-backup, lazy: one subflow as long as all is well; the others when it is lost, and they go again", () => {
  const stage = settled({ policy: activeBackup, locals: 3, given: { mode: "lazy" } });
  assert.equal(stage.subflows, "0>0");
  stage.lose(0);
  stage.pass(100);
  assert.equal(stage.active, "1>0");
  stage.addAddress(0);
  look(stage, 4);
  assert.equal(stage.active, "1>0", "the better one is there again, and waits");
  look(stage, 2);
  assert.equal(stage.active, "0>0");
  look(stage, 10);
  assert.equal(stage.subflows, "0>0");
});

test("active-backup, lazy: a path that may be dead is reason enough", () => {
  const stage = settled({ policy: activeBackup, locals: 2, given: { mode: "lazy" } });
  look(stage, 2);
  stage.path(0, 0, "silent");
  look(stage, 1);
  assert.equal(stage.active, "1>0");
});

test("handover: the next path is made when the first has a timeout, carries, and goes when the first was well again for a while", () => {
  const stage = settled({ policy: handover, locals: 3 });
  look(stage, 5);
  assert.equal(stage.subflows, "0>0");
  stage.measure(DOUBT);
  look(stage, 1, DOUBT);
  assert.deepEqual([stage.subflows, stage.active], ["0>0 1>0 2>0", "1>0"]);
  look(stage, 8);
  assert.equal(stage.active, "1>0");
  look(stage, 2);
  assert.equal(stage.active, "0>0");
  look(stage, 11);
  assert.equal(stage.subflows, "0>0");
});

/** Where the first path loses so much of what it carries: sums, as the kernel has them. */
function lossy(share: number): (stage: Stage) => Figures {
  let [bytesSent, at] = [0, 0];
  return ({ now, active }) => {
    if (active === "0>0") bytesSent += 1000 * (now - at);
    at = now;
    return { "0>0": { bytesSent, bytesRetransmitted: share * bytesSent } };
  };
}

function lookAt(stage: Stage, seconds: number, figures: (stage: Stage) => Figures): void {
  for (let turn = 0; turn < 4 * seconds; turn++) {
    stage.pass(250);
    stage.measure(figures(stage));
  }
}

test("handover: so it is with one that loses too much; each further time it is avoided for twice as long", () => {
  const stage = settled({ policy: handover });
  lookAt(stage, 5, lossy(0.02));
  assert.equal(stage.subflows, "0>0", "some losses are well");
  const bad = lossy(0.12);
  lookAt(stage, 5, bad);
  assert.equal(stage.active, "1>0");
  lookAt(stage, 300, bad);
  const returns = stage.log.filter(
    ({ action }) =>
      action.type === "subflow.setBackup" && !action.backup && action.path.local.address === stage.local(0),
  );
  const waits = returns.map(({ at }, nth) => at - (returns[nth - 1]?.at ?? 0)).slice(1);
  assert.ok(waits.length >= 2, JSON.stringify(waits));
  for (const [nth, wait] of waits.slice(1).entries()) assert.ok(wait > 1.5 * (waits[nth] ?? 0), JSON.stringify(waits));
});

test("handover: what a path has left to send again when it is left says nothing of how it is later", () => {
  const stage = settled({ policy: handover });
  const bad = lossy(0.12);
  lookAt(stage, 5, bad);
  assert.equal(stage.active, "1>0");
  const sent = bad(stage)["0>0"]?.bytesSent ?? 0;
  // The queue of 300 kB goes out within two seconds, and much of it twice; then nothing more.
  const drain = ({ now }: Stage): Figures => {
    const more = Math.min(150 * (now - left), 300_000);
    return { "0>0": { bytesSent: sent + more, bytesRetransmitted: 0.12 * sent + 0.5 * more } };
  };
  const left = stage.now;
  lookAt(stage, 12, drain);
  assert.equal(stage.active, "0>0");
});

test("handover: a path that is lost is replaced at once", () => {
  const stage = settled({ policy: handover });
  stage.reset(0, 0);
  stage.pass(50);
  assert.match(stage.active, /1>0/);
});

const slow = (...paths: string[]): Figures => Object.fromEntries(paths.map((path) => [path, { rtt: 300 }]));

test("interactive: the preferred path carries while it is within the bound, also where another is quicker", () => {
  const stage = settled({ policy: interactive, locals: 3 });
  look(stage, 5, { "0>0": { rtt: 90 }, "1>0": { rtt: 30 } });
  assert.deepEqual([stage.subflows, stage.active], ["0>0 1>0 2>0", "0>0"]);
});

test("interactive: above the bound the quickest carries; a moment is not enough, nor one that is hardly quicker", () => {
  const stage = settled({ policy: interactive, locals: 3 });
  const figures = { "0>0": { rtt: 300 }, "1>0": { rtt: 80 }, "2>0": { rtt: 40 } };
  look(stage, 1);
  stage.measure(figures);
  look(stage, 1);
  assert.equal(stage.active, "0>0");
  look(stage, 1, { "0>0": { rtt: 110 }, "1>0": { rtt: 95 }, "2>0": { rtt: 95 } });
  assert.equal(stage.active, "0>0");
  look(stage, 1, figures);
  assert.equal(stage.active, "2>0");
});

test("interactive: at a timeout it is left at once", () => {
  const stage = settled({ policy: interactive });
  look(stage, 1);
  stage.measure(DOUBT);
  assert.equal(stage.active, "1>0");
});

test("interactive: the preferred path is opened anew to see how it is, and carries again when it is well; as long as it is not, ever more seldom", () => {
  const stage = settled({ policy: interactive });
  const anew = () => stage.attempts(0, 0);
  look(stage, 120, slow("0>0"));
  assert.equal(stage.active, "1>0");
  const waits = anew()
    .map((at, nth) => at - (anew()[nth - 1] ?? 0))
    .slice(1);
  assert.ok(waits.length >= 2 && waits.every((wait, nth) => wait > 1.5 * (waits[nth - 1] ?? 0)), JSON.stringify(waits));
  assert.equal(stage.subflows, "0>0 1>0", "the one that it was before is gone");
  look(stage, 320);
  assert.equal(stage.active, "0>0");
});

test("interactive: where all are slow nothing is moved without end", () => {
  const stage = settled({ policy: interactive });
  look(stage, 300, slow("0>0", "1>0"));
  assert.equal(stage.active, "0>0");
  assert.equal(commands(stage, "subflow.setBackup"), 0);
});
