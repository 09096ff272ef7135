import * as v from "valibot";
import { BOUNDS, type Parameters } from "../../engine/index.ts";
import { type Address, parseAddress } from "../../types/index.ts";

/* What comes from a plug-in's process is not trusted: shape and size are checked here, and what it means by the engine. */

const whole = (max: number, min = 0) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
const id = whole(255);
const address = v.pipe(
  v.string(),
  v.maxLength(64),
  v.transform(parseAddress),
  v.check((parsed) => parsed !== undefined, "no IP address"),
  v.transform((parsed) => parsed as Address),
);
const local = v.object({ address, endpoint: id, interfaceIndex: whole(0x7fff_ffff), backup: v.boolean() });
const remote = v.object({ id, address, port: whole(65_535, 1) });
const wanted = v.object({
  keep: v.optional(whole(BOUNDS.subflowsMax)),
  open: v.optional(v.object({ local, remote })),
  backup: v.optional(v.boolean()),
});

const PLAN = v.object({
  subflows: v.pipe(v.array(wanted), v.maxLength(BOUNDS.subflowsMax)),
  announcements: v.optional(v.pipe(v.array(id), v.maxLength(BOUNDS.plannedMax))),
  ask: v.optional(v.pipe(v.array(id), v.maxLength(BOUNDS.plannedMax))),
  memory: v.optional(v.unknown()),
  wakeAt: v.optional(v.union([v.number(), v.literal("announceable")])),
});

const fault = v.pipe(v.string(), v.maxLength(1000));
const FROM_PLUGIN = v.variant("type", [
  v.object({
    type: v.literal("hello"),
    version: v.number(),
    about: v.pipe(v.string(), v.maxLength(1000)),
    measures: v.optional(v.pipe(v.number(), v.minValue(50))),
    signals: v.optional(v.pipe(v.array(v.number()), v.maxLength(16))),
    parameters: v.custom<Parameters>((value) => typeof value === "object" && value !== null),
  }),
  v.object({ type: v.literal("plan"), id: v.number(), plan: PLAN }),
  v.object({ type: v.literal("fault"), id: v.number(), fault }),
  v.object({ type: v.literal("useless"), fault }),
]);

export type Heard = v.InferOutput<typeof FROM_PLUGIN>;
/** A plan whose shape is wrong; undefined: it is no answer at all. */
export type Misheard = { readonly type: "wrong"; readonly id: number | undefined; readonly fault: string };

/** A line of a plug-in's process. */
export function hear(line: string): Heard | Misheard {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { type: "wrong", id: undefined, fault: "no JSON" };
  }
  const parsed = v.safeParse(FROM_PLUGIN, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const path = (issue.path ?? []).map((item) => String(item.key)).join(".");
  const { id } = (value ?? {}) as { id?: unknown };
  return {
    type: "wrong",
    id: typeof id === "number" ? id : undefined,
    fault: `${path}: ${issue.message}`.slice(0, 200),
  };
}
