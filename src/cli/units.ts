const PREFIXES = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes in decimal units with three digits at most: "0 B", "999 B", "1.2 kB", "35 MB". */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < PREFIXES.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${PREFIXES[unit]}`;
}

/** Microseconds as milliseconds: "0.04 ms", "12.3 ms", "250 ms"; "?" for 0, which means not measured yet. */
export function formatMicros(microseconds: number): string {
  if (microseconds === 0) return "?";
  const milliseconds = microseconds / 1000;
  const digits = milliseconds < 1 ? 2 : milliseconds < 100 ? 1 : 0;
  return `${milliseconds.toFixed(digits)} ms`;
}
