import type * as v from "valibot";
import { CONFIG_SCHEMA } from "./schema.ts";

export type PathItem = string | number;

interface Schema {
  readonly wrapped?: Schema;
  readonly entries?: Readonly<Record<string, Schema & { readonly literal?: unknown }>>;
  readonly options?: readonly Schema[];
  readonly item?: Schema;
}

/** The keys that may stand at `path` of a configuration. */
export function knownKeys(value: unknown, path: readonly PathItem[]): string[] {
  let schema: Schema | undefined = CONFIG_SCHEMA as unknown as Schema;
  let here: unknown = value;
  for (const step of path) {
    const meant = meantBy(schema, here);
    schema = typeof step === "number" ? meant?.item : meant?.entries?.[step];
    here = (here as Readonly<Record<PathItem, unknown>> | undefined)?.[step];
  }
  return Object.keys(meantBy(schema, here)?.entries ?? {});
}

/** Without what wraps it; of several that a value could be, the one of its `name`, or else of its shape. */
function meantBy(schema: Schema | undefined, value: unknown): Schema | undefined {
  if (schema?.wrapped) return meantBy(schema.wrapped, value);
  if (!schema?.options) return schema;
  const options = schema.options.flatMap((option) => meantBy(option, value) ?? []);
  const isMap = typeof value === "object" && value !== null && !Array.isArray(value);
  const fits = ({ entries, item }: Schema): boolean => {
    if (!isMap) return item !== undefined && Array.isArray(value);
    const name = entries?.name?.literal;
    return entries !== undefined && (name === undefined || name === (value as { name?: unknown }).name);
  };
  return options.find(fits);
}

/** Of several that a value could be, it is meant to be the one that it comes nearest to: what is wrong deepest in it. */
export function nearestIssue(issue: v.BaseIssue<unknown>): v.BaseIssue<unknown> {
  if (issue.type !== "union" || !issue.message.startsWith("Invalid")) return issue;
  const depth = ({ path }: v.BaseIssue<unknown>): number => path?.length ?? 0;
  const [deepest] = (issue.issues ?? []).toSorted((a, b) => depth(b) - depth(a));
  if (!deepest) return issue;
  const path = [...(issue.path ?? []), ...(deepest.path ?? [])] as unknown as v.BaseIssue<unknown>["path"];
  return nearestIssue({ ...deepest, path });
}
