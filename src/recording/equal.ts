/** Do two values say the same? A field that is undefined says as much as none; the order of fields says nothing. */
export function isSame(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (Array.isArray(one)) return Array.isArray(other) && isSameList(one, other);
  if (one instanceof Map) return other instanceof Map && isSameList([...one], [...other]);
  if (one instanceof Set) return other instanceof Set && isSameList([...one], [...other]);
  if (one instanceof Uint8Array) return other instanceof Uint8Array && isSameList([...one], [...other]);
  if (Array.isArray(other) || other instanceof Map || other instanceof Set || other instanceof Uint8Array) return false;
  return isSameRecord(one as Fields, other as Fields);
}

type Fields = Readonly<Record<string, unknown>>;

function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((value, index) => isSame(value, other[index]));
}

function isSameRecord(one: Fields, other: Fields): boolean {
  for (const key in one) if (one[key] !== undefined && !isSame(one[key], other[key])) return false;
  for (const key in other) if (other[key] !== undefined && one[key] === undefined) return false;
  return true;
}
