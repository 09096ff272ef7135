// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is meant
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Values that somebody sent, without what would steer a terminal or turn a line around. */
export function cleaned<T>(value: T): T {
  if (typeof value === "string") return value.replace(CONTROL, "\ufffd") as T;
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(cleaned) as T;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [cleaned(key), cleaned(each)])) as T;
}
