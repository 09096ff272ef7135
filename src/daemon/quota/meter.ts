import { type CalendarPeriod, type Moment, periodAt } from "../../config/index.ts";
import { QUOTA_STAGES, type Quota, type QuotaStage, quotaStage } from "../../host/index.ts";
import type { Millis } from "../../types/index.ts";

/** Counters of an interface with a quota, as they are now. */
export interface Reading {
  readonly name: string;
  readonly index: number;
  /** Both ways, since the interface was made. */
  readonly bytes: number;
  readonly quota: Quota;
}

/** What was counted in one period. */
export interface Count {
  /** See {@link CalendarPeriod}. */
  readonly key: string;
  readonly bytes: number;
  /** The last stage that was told of. */
  readonly told: QuotaStage;
}

/** One interface, as it is written down. */
export interface Meter {
  /** What the counter belongs to: it begins at 0 in another life of the host, and in another interface of that name. */
  readonly boot: string;
  readonly index: number;
  readonly counter: number;
  /** When the counter was read, milliseconds since 1970. */
  readonly at: Millis;
  readonly period: Quota["period"];
  /** Last used first. A clock that was wrong for a time (no battery) comes back to the count it left. */
  readonly counts: readonly Count[];
}

/** One interface after a look. */
export interface Use {
  readonly name: string;
  readonly quota: Quota;
  readonly bytes: number;
  readonly stage: QuotaStage;
  readonly period: CalendarPeriod;
  /** It has come further than was told of in this period. */
  readonly isNews: boolean;
}

const COUNTS_MAX = 3;
/** Names come and go (ppp0, ppp1, ...): the oldest are forgotten. */
const METERS_MAX = 256;

/** Counts what interfaces carry by the differences of their counters. No clock of its own: it is told the time. */
export class Meters {
  readonly #boot: string;
  readonly #meters: Map<string, Meter>;
  /** Read in this life: what came since then came in the present period. */
  readonly #seen = new Set<string>();

  /** @param boot names this life of the host @param saved as an earlier life wrote it down */
  constructor(boot: string, saved: Readonly<Record<string, Meter>> = {}) {
    this.#boot = boot;
    this.#meters = new Map(Object.entries(saved));
  }

  /** To be written down. */
  get saved(): Readonly<Record<string, Meter>> {
    return Object.fromEntries(this.#meters);
  }

  /** Bytes of the period that it is now, of all names that are known: also of interfaces that are away. */
  used(now: Moment): Map<string, number> {
    const countOf = ({ period, counts }: Meter): number => countAt(counts, periodAt(period, now)).bytes;
    return new Map([...this.#meters].map(([name, meter]) => [name, countOf(meter)]));
  }

  look(readings: readonly Reading[], now: Moment): Use[] {
    const uses = readings.map((reading) => this.#count(reading, now));
    if (this.#meters.size > METERS_MAX) this.#forget();
    return uses;
  }

  #count({ name, index, bytes, quota }: Reading, now: Moment): Use {
    const known = this.#meters.get(name);
    const period = periodAt(quota.period, now);
    const count = countAt(known?.counts ?? [], period);
    const added = known ? this.#since(known, { index, bytes, isSeen: this.#seen.has(name) }, period, now) : 0;
    const total = count.bytes + added;
    const stage = quotaStage(quota, total);
    const others = (known?.counts ?? []).filter(({ key }) => key !== period.key);
    this.#seen.add(name);
    this.#meters.set(name, {
      ...{ boot: this.#boot, index, counter: bytes, at: now.getTime(), period: quota.period },
      counts: [{ key: period.key, bytes: total, told: stage }, ...others].slice(0, COUNTS_MAX),
    });
    return { name, quota, bytes: total, stage, period, isNews: rank(stage) > rank(count.told) };
  }

  /** What an interface carried since it was read, as far as it belongs to the present period. */
  #since(
    { boot, index, counter, at }: Meter,
    { index: present, bytes, isSeen }: { readonly index: number; readonly bytes: number; readonly isSeen: boolean },
    { begins }: CalendarPeriod,
    now: Moment,
  ): number {
    const isSame = boot === this.#boot && index === present && bytes >= counter;
    const added = isSame ? bytes - counter : bytes;
    // Nobody looked when the period began: what came is taken as spread evenly over the time.
    if (isSeen || at >= begins || at >= now.getTime()) return added;
    return Math.round((added * (now.getTime() - begins)) / (now.getTime() - at));
  }

  #forget(): void {
    const oldest = [...this.#meters].toSorted(([, a], [, b]) => a.at - b.at);
    for (const [name] of oldest.slice(0, this.#meters.size - METERS_MAX)) this.#meters.delete(name);
  }
}

function countAt(counts: readonly Count[], period: CalendarPeriod): Count {
  return counts.find(({ key }) => key === period.key) ?? { key: period.key, bytes: 0, told: "within" };
}

function rank(stage: QuotaStage): number {
  return QUOTA_STAGES.indexOf(stage);
}
