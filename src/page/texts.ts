/** "1.2 MB/s", "0": short, and of the same width whatever happens. */
export function rateText(bytesPerSecond: number): string {
  return bytesPerSecond < 1 ? "0" : `${sizeText(bytesPerSecond)}/s`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Powers of a thousand, three digits. */
export function sizeText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** "37 s", "5 min", "3 h", "2 d". */
export function timeText(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 100) return `${seconds < 10 ? seconds.toFixed(1) : seconds.toFixed(0)} s`;
  if (seconds < 6000) return `${(seconds / 60).toFixed(0)} min`;
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(0)} h` : `${(seconds / 86_400).toFixed(0)} d`;
}

/** "12 ms", "0.4 ms"; "": not measured. */
export function rttText(milliseconds: number): string {
  if (milliseconds <= 0) return "";
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : milliseconds.toFixed(0)} ms`;
}
