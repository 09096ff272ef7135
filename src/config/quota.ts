import * as v from "valibot";
import { quantity } from "../engine/index.ts";
import { QUOTA_PERIODS, type Quota, type QuotaPeriod } from "../host/index.ts";
import type { Millis } from "../types/index.ts";

const WRITTEN = new RegExp(`^(\\S*[A-Za-z])\\s*/\\s*(${QUOTA_PERIODS.join("|")})$`);

/** "5GB/month"; undefined: it is none. */
export function quotaOf(written: string): Quota | undefined {
  const [, amount, period] = WRITTEN.exec(written.trim()) ?? [];
  const bytes = amount === undefined ? undefined : quantity("bytes", amount);
  return bytes === undefined ? undefined : { bytes, period: period as QuotaPeriod };
}

/** A quota as it stands in a configuration. */
export const QUOTA = v.pipe(
  v.string('a quota as "5GB/month"'),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const quota = quotaOf(dataset.value);
    if (!quota) {
      const given = JSON.stringify(dataset.value).slice(0, 60);
      addIssue({ message: `${given} is not a quota as "5GB/month", "500MB/week", "100MB/day"` });
    } else if (quota.bytes < 1000) addIssue({ message: "a quota is at least 1kB; role: off uses nothing" });
  }),
  v.description("what the interface may carry in a day, week or month: 5GB/month; then it is backup, above 110 % off"),
);

/** A time of day that somebody was told, and did not ask a clock for. */
export type Moment = Date;

/** One day, week or month. */
export interface CalendarPeriod {
  /** Its name, none of another kind's: "2026-11-27", "2026-11-23 week", "2026-11". */
  readonly key: string;
  /** By the clock of the host, milliseconds since 1970. */
  readonly begins: Millis;
  readonly ends: Millis;
}

/** Days from one Monday to the next. */
const WEEK = 7;

/** The one that it is, in local time; weeks begin on Mondays (ISO 8601). */
export function periodAt(period: QuotaPeriod, now: Moment): CalendarPeriod {
  const [year, month, day] = [now.getFullYear(), now.getMonth(), now.getDate()];
  switch (period) {
    case "day":
      return between(new Date(year, month, day), new Date(year, month, day + 1), dayName);
    case "week": {
      const monday = day - ((now.getDay() + WEEK - 1) % WEEK);
      return between(
        new Date(year, month, monday),
        new Date(year, month, monday + WEEK),
        (at) => `${dayName(at)} week`,
      );
    }
    case "month":
      return between(new Date(year, month, 1), new Date(year, month + 1, 1), monthName);
  }
}

function between(begin: Date, end: Date, nameOf: (begin: Date) => string): CalendarPeriod {
  return { key: nameOf(begin), begins: begin.getTime(), ends: end.getTime() };
}

function monthName(at: Date): string {
  return `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, "0")}`;
}

function dayName(at: Date): string {
  return `${monthName(at)}-${String(at.getDate()).padStart(2, "0")}`;
}
