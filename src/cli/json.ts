import { formatToken } from "./words.ts";

/** A value that JSON can carry. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

/** Keys that are names out of the world (counters, sysctls), not words of ours: {@link machine} leaves them as they are. */
export class Named {
  readonly entries: Readonly<Record<string, unknown>>;
  constructor(entries: Readonly<Record<string, unknown>>) {
    this.entries = entries;
  }
}

/**
 * A value of Subflow's own as programs get it: keys in the case of iproute2's (`add_addr_accepted`), tokens as eight
 * hexadecimal digits, which every command takes. A Map's keys are names: see {@link Named}.
 */
export function machine(value: unknown): Json {
  if (value instanceof Named) return named(Object.entries(value.entries));
  if (value instanceof Map) return named([...(value as Map<string, unknown>)]);
  if (value instanceof Set) return [...value].map(machine);
  if (Array.isArray(value)) return value.map(machine);
  if (value === null || typeof value !== "object") return value as Json;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(
    fields.map(([key, field]) => [
      snakeCase(key),
      key === "token" && typeof field === "number" ? formatToken(field) : machine(field),
    ]),
  );
}

function named(entries: readonly (readonly [string, unknown])[]): Json {
  return Object.fromEntries(entries.map(([key, field]) => [key, machine(field)]));
}

/** "addAddrAccepted" → "add_addr_accepted"; "socket4" stays. */
function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

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
