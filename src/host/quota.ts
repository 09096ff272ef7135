/** How long a quota lasts, by the calendar of the host. */
export const QUOTA_PERIODS = ["day", "week", "month"] as const;
export type QuotaPeriod = (typeof QUOTA_PERIODS)[number];

/** What an interface may carry, both ways together, in one period. */
export interface Quota {
  readonly bytes: number;
  readonly period: QuotaPeriod;
}

/** Parts of a hundred of a quota: from here on it is warned, */
const WARNED = 80;
/** and from here on the path is left alone: who is billed for what is above a quota pays most for it. */
const OFF = 110;

/** How far a quota is used, in order. */
export const QUOTA_STAGES = ["within", "warned", "backup", "off"] as const;
export type QuotaStage = (typeof QUOTA_STAGES)[number];

export function quotaStage({ bytes }: Quota, used: number): QuotaStage {
  if (100 * used >= OFF * bytes) return "off";
  if (used >= bytes) return "backup";
  return 100 * used >= WARNED * bytes ? "warned" : "within";
}

/** "5GB a month". */
export function quotaText({ bytes, period }: Quota): string {
  return `${amountText(bytes)} a ${period}`;
}

const UNITS = [
  ["TB", 1e12],
  ["GB", 1e9],
  ["MB", 1e6],
  ["kB", 1e3],
] as const;

/** 4123456789 → "4.12GB": three digits, for people. */
export function amountText(bytes: number): string {
  const [unit, factor] = UNITS.find(([, size]) => bytes >= size) ?? ["B", 1];
  return `${Number((bytes / factor).toPrecision(3))}${unit}`;
}
