import assert from "node:assert/strict";
import { test } from "node:test";
import { isTime, isTimeOfDay } from "./times.ts";

/** 2026-11-23 is a Monday. */
const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, 23 + day, hour, minute);

test("a time of day is two times with a dash", () => {
  for (const text of ["08:00-18:00", "22:00-06:00", "00:00-23:59"]) assert.ok(isTimeOfDay(text), text);
  for (const text of ["8:00-18:00", "08:00", "24:00-06:00", "08:00-08:00", "08:00-18:00 "])
    assert.ok(!isTimeOfDay(text), text);
});

test("a time holds from its first minute to the last, over midnight too", () => {
  assert.ok(isTime({ time: "08:00-18:00" }, at(0, 8)));
  assert.ok(isTime({ time: "08:00-18:00" }, at(0, 17, 59)));
  assert.ok(!isTime({ time: "08:00-18:00" }, at(0, 18)));
  assert.ok(isTime({ time: "22:00-06:00" }, at(0, 23)));
  assert.ok(isTime({ time: "22:00-06:00" }, at(0, 5, 59)));
  assert.ok(!isTime({ time: "22:00-06:00" }, at(0, 12)));
  assert.ok(isTime({}, at(0, 12)));
});

test("days are those on which the time begins", () => {
  const weekend = { days: ["sat", "sun"] } as const;
  assert.ok(!isTime(weekend, at(0, 12)));
  assert.ok(isTime(weekend, at(5, 12)));
  const nights = { time: "22:00-06:00", days: ["fri"] } as const;
  assert.ok(isTime(nights, at(4, 23)), "Friday night");
  assert.ok(isTime(nights, at(5, 3)), "which goes on on Saturday");
  assert.ok(!isTime(nights, at(4, 3)), "the night before is Thursday's");
  assert.ok(!isTime(nights, at(5, 23)));
});
