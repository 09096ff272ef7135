/** A value that JSON can carry. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * JSON text with the white space of iproute2's writer: none, or with `pretty` four blanks a level and `[ {` at the
 * start of a list. Ends with a newline. Undefined fields are left out.
 */
export function renderJson(value: Json, pretty: boolean): string {
  return `${render(value, pretty, 0)}\n`;
}

function render(value: Json, pretty: boolean, depth: number): string {
  if (Array.isArray(value)) {
    const items = value.map((item: Json) => render(item, pretty, depth + 1)).join(",");
    if (!pretty) return `[${items}]`;
    return items === "" ? "[ ]" : `[ ${items} ]`;
  }
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const line = (level: number): string => (pretty ? `\n${" ".repeat(4 * level)}` : "");
  const colon = pretty ? ": " : ":";
  const fields: string[] = [];
  for (const [key, field] of Object.entries(value as { [key: string]: Json | undefined })) {
    if (field === undefined) continue;
    fields.push(`${line(depth + 1)}${JSON.stringify(key)}${colon}${render(field, pretty, depth + 1)}`);
  }
  return fields.length === 0 ? "{}" : `{${fields.join(",")}${line(depth)}}`;
}
