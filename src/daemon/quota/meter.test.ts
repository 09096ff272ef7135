import assert from "node:assert/strict";
import { test } from "node:test";
import type { Quota } from "../../host/index.ts";
import { type Meter, Meters } from "./meter.ts";

const MB = 1e6;
const QUOTA: Quota = { bytes: 100 * MB, period: "month" };
const at = (month: number, day: number, hour = 12): Date => new Date(2026, month - 1, day, hour);

/** A meter of one interface, wwan0. */
class Played {
  meters: Meters;

  constructor(boot = "boot 1", saved?: Readonly<Record<string, Meter>>) {
    this.meters = new Meters(boot, saved);
  }

  look(megabytes: number, now: Date, { index = 3, quota = QUOTA } = {}) {
    const [use] = this.meters.look([{ name: "wwan0", index, bytes: megabytes * MB, quota }], now);
    assert.ok(use);
    assert.equal(this.meters.used(now).get("wwan0"), use.bytes);
    return use;
  }

  /** The daemon ends and another begins, through the file. */
  reborn(boot = "boot 1"): void {
    this.meters = new Meters(boot, JSON.parse(JSON.stringify(this.meters.saved)));
  }
}

test("what an interface carried before it was first seen does not count, what comes then does", () => {
  const one = new Played();
  assert.equal(one.look(5000, at(11, 2)).bytes, 0);
  assert.equal(one.look(5030, at(11, 2)).bytes, 30 * MB);
  assert.equal(one.look(5030, at(11, 3)).bytes, 30 * MB);
});

test("stages, each told of once a period, over restarts too", () => {
  const one = new Played();
  one.look(0, at(11, 1));
  const told = [79, 80, 99, 100, 109, 110, 300].map((megabytes) => {
    const { stage, isNews } = one.look(megabytes, at(11, 2));
    one.reborn();
    return `${stage}${isNews ? "!" : ""}`;
  });
  assert.deepEqual(told, ["within", "warned!", "warned", "backup!", "backup", "off!", "off"]);
  assert.deepEqual([one.look(300, at(12, 1, 0)).stage, one.look(385, at(12, 2)).isNews], ["within", true]);
});

test("a higher quota is within again, and is warned of anew", () => {
  const one = new Played();
  one.look(0, at(11, 1));
  one.look(100, at(11, 1));
  const quota = { ...QUOTA, bytes: 200 * MB };
  assert.equal(one.look(100, at(11, 1), { quota }).stage, "within");
  assert.deepEqual(
    [one.look(160, at(11, 1), { quota }).isNews, one.look(161, at(11, 1), { quota }).isNews],
    [true, false],
  );
});

test("counters begin at 0 anew: in another interface of that name, after a driver's reset, in another life of the host", () => {
  const one = new Played();
  one.look(10, at(11, 1));
  one.look(30, at(11, 1));
  assert.equal(one.look(5, at(11, 1), { index: 7 }).bytes, 25 * MB, "made anew");
  assert.equal(one.look(50, at(11, 1), { index: 9 }).bytes, 75 * MB, "made anew, and has carried more than the last");
  assert.equal(one.look(2, at(11, 1), { index: 9 }).bytes, 77 * MB, "reset");
  one.reborn("boot 2");
  assert.equal(one.look(12, at(11, 2), { index: 9 }).bytes, 89 * MB, "after a reboot, with more than before");
  one.reborn("boot 2");
  assert.equal(one.look(13, at(11, 2), { index: 9 }).bytes, 90 * MB, "after a restart: what came in between counts");
});

test("a clock that jumps forth and back comes back to the count it left", () => {
  const one = new Played();
  one.look(0, at(11, 1));
  one.look(40, at(11, 1));
  assert.equal(one.look(41, new Date(2031, 0, 5)).bytes, MB, "years ahead");
  assert.equal(one.look(42, new Date(1970, 0, 1, 3)).bytes, MB, "no battery");
  assert.equal(one.look(45, at(11, 1)).bytes, 43 * MB);
  one.reborn("boot 2");
  assert.equal(one.look(1, new Date(1970, 0, 1, 4)).bytes, 2 * MB, "and again at the next boot");
  assert.equal(one.look(3, at(11, 1)).bytes, 45 * MB);
});

test("a daemon that was away when a period began counts of what came meanwhile the part that is the period's", () => {
  const one = new Played();
  one.look(0, at(11, 30, 0));
  one.look(50, at(11, 30, 0));
  one.reborn();
  assert.equal(one.look(90, at(12, 2, 0)).bytes, 20 * MB, "a day of November, a day of December");
  assert.equal(one.look(95, at(12, 2, 0)).bytes, 25 * MB);
});

test("a long sleep over the end of a period: what comes after it is the new one's", () => {
  const one = new Played();
  one.look(0, at(11, 30));
  one.look(50, at(11, 30));
  assert.equal(one.look(51, at(12, 9)).bytes, MB);
});

test("two interfaces of one rule have a quota each", () => {
  const meters = new Meters("boot");
  const look = (a: number, b: number) =>
    meters.look(
      [
        { name: "wwan0", index: 3, bytes: a * MB, quota: QUOTA },
        { name: "wwan1", index: 4, bytes: b * MB, quota: QUOTA },
      ],
      at(11, 1),
    );
  look(0, 0);
  assert.deepEqual(
    look(105, 70).map(({ name, stage }) => [name, stage]),
    [
      ["wwan0", "backup"],
      ["wwan1", "within"],
    ],
  );
});

test("a name that is away keeps its count; of names without end the oldest are forgotten", () => {
  const meters = new Meters("boot");
  const look = (n: number) => meters.look([{ name: `ppp${n}`, index: n, bytes: 0, quota: QUOTA }], at(11, 1, n / 3600));
  for (let n = 0; n < 1000; n++) look(n);
  assert.equal(Object.keys(meters.saved).length, 256);
  assert.ok(meters.used(at(11, 1)).has("ppp999") && meters.used(at(11, 1)).has("ppp744"));
});
