/** Up to where a reader knows everything. */
export interface Cursor {
  /** Of the state: the number of the last change that it knows; 0: none. */
  readonly change: number;
  /** Of the happenings: the number of the next. */
  readonly happening: number;
  /** The state begins anew: what it knew is void. */
  readonly isReset: boolean;
}

/** As it stands in an answer. `life` tells one life of a daemon from another. */
export function formatCursor(life: string, { change, happening }: Cursor): string {
  return `${life}.${change}.${happening}`;
}

/** undefined: of another life, or nobody's. */
export function parseCursor(life: string, text: string): Pick<Cursor, "change" | "happening"> | undefined {
  const [its, change, happening, ...more] = text.split(".");
  const numbers = [change, happening].map((part) => (/^\d{1,15}$/.test(part ?? "") ? Number(part) : -1));
  if (its !== life || more.length > 0 || numbers.includes(-1)) return undefined;
  return { change: numbers[0]!, happening: numbers[1]! };
}
