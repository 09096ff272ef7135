import assert from "node:assert/strict";
import { test } from "node:test";
import type { QuotaPeriod } from "../host/index.ts";
import { periodAt, quotaOf } from "./quota.ts";

test("quotas as they are written", () => {
  assert.deepEqual(quotaOf("5GB/month"), { bytes: 5e9, period: "month" });
  assert.deepEqual(quotaOf("1.5MiB / day"), { bytes: 1.5 * 2 ** 20, period: "day" });
  for (const wrong of ["5GB", "5/month", "GB/month", "5GB/year", "5GB/Month", "-5GB/day", "5Gbit/day", "/day", ""]) {
    assert.equal(quotaOf(wrong), undefined, wrong);
  }
});

const period = (kind: QuotaPeriod, ...now: [number, number, number, number?, number?, number?]) => {
  const [year, month, ...rest] = now;
  const { key, begins, ends } = periodAt(kind, new Date(year, month - 1, ...rest));
  const text = (time: number) => {
    const date = new Date(time);
    return `${date.getMonth() + 1}-${date.getDate()} ${date.getHours()}`;
  };
  return [key, text(begins), text(ends)];
};

test("months end where they end, also February and December", () => {
  assert.deepEqual(period("month", 2026, 11, 30, 23, 59, 59), ["2026-11", "11-1 0", "12-1 0"]);
  assert.deepEqual(period("month", 2026, 12, 1, 0, 0, 0), ["2026-12", "12-1 0", "1-1 0"]);
  assert.deepEqual(period("month", 2028, 2, 29), ["2028-02", "2-1 0", "3-1 0"]);
  assert.deepEqual(period("month", 2026, 1, 31), ["2026-01", "1-1 0", "2-1 0"]);
});

test("days are local ones, over the ends of months and years", () => {
  assert.deepEqual(period("day", 2026, 12, 31, 23, 59), ["2026-12-31", "12-31 0", "1-1 0"]);
  assert.deepEqual(period("day", 2027, 1, 1, 0, 0), ["2027-01-01", "1-1 0", "1-2 0"]);
});

test("weeks begin on Mondays", () => {
  assert.deepEqual(period("week", 2026, 11, 29, 23, 59), ["2026-11-23 week", "11-23 0", "11-30 0"]);
  assert.deepEqual(period("week", 2026, 11, 30, 0, 0), ["2026-11-30 week", "11-30 0", "12-7 0"]);
  assert.deepEqual(period("week", 2027, 1, 2), ["2026-12-28 week", "12-28 0", "1-4 0"]);
});
