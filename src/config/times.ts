/** As Date.getDay() counts them. */
export const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;
export type Weekday = (typeof WEEKDAYS)[number];

const RANGE = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/;

/** "22:00-06:00" and its like. */
export function isTimeOfDay(text: string): boolean {
  const match = RANGE.exec(text);
  return match !== null && match.slice(1, 3).join() !== match.slice(3).join();
}

const DAY = 24 * 60;

/** Is it now that time, on one of those days? A time over midnight belongs to the day on which it begins. */
export function isTime(
  { time, days }: { readonly time?: string | undefined; readonly days?: readonly Weekday[] | undefined },
  now: Date,
): boolean {
  const match = RANGE.exec(time ?? "");
  const [from = 0, to = DAY] = match ? [minutes(match[1], match[2]), minutes(match[3], match[4])] : [];
  const minute = now.getHours() * 60 + now.getMinutes();
  const isOn = (day: number): boolean => days === undefined || days.includes(WEEKDAYS[(day + 7) % 7]!);
  const today = now.getDay();
  if (from < to) return isOn(today) && from <= minute && minute < to;
  return (isOn(today) && minute >= from) || (isOn(today - 1) && minute < to);
}

function minutes(hours: string | undefined, rest: string | undefined): number {
  return Number(hours) * 60 + Number(rest);
}
