import * as v from "valibot";
import {
  type Address,
  type ControlFailure,
  type ControlMethod,
  parseAddress,
  WATCH_KINDS,
  WATCH_PACE,
} from "../types/index.ts";

const whole = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
const id = whole(0, 255);
const port = v.optional(whole(0, 65535));
const u32 = whole(0, 0xffff_ffff);
const address = v.pipe(
  v.string(),
  v.transform(parseAddress),
  v.check((parsed) => parsed !== undefined, "not an IP address"),
  v.transform((parsed) => parsed as Address),
);
const none = v.strictObject({});
/** Explanations of one request: what a person reads, not what a machine collects. */
const TOKENS_MAX = 1000;
/** A cursor of `watch` is ours, and short. */
const CURSOR_MAX = 100;

/** What each method takes; anything else is refused before it reaches the engine. */
const PARAMETERS = {
  hello: none,
  "endpoint.list": none,
  "endpoint.add": v.strictObject({
    address,
    flags: u32,
    id: v.optional(id),
    port,
    interfaceIndex: v.optional(whole(0, 0x7fff_ffff)),
  }),
  "endpoint.delete": v.strictObject({ id, address: v.optional(address) }),
  "endpoint.change": v.strictObject({ id: v.optional(id), address: v.optional(address), port, flags: u32 }),
  "endpoint.flush": none,
  "limits.get": none,
  "limits.set": v.strictObject({ subflows: v.optional(u32), addAddrAccepted: v.optional(u32) }),
  "policy.set": v.strictObject({
    token: u32,
    policy: v.pipe(v.string(), v.maxLength(64)),
    parameters: v.optional(
      v.record(v.string(), v.union([v.pipe(v.string(), v.maxLength(64)), v.number(), v.boolean()])),
    ),
  }),
  "policy.unset": v.strictObject({ token: u32 }),
  snapshot: v.strictObject({ token: v.optional(u32) }),
  why: v.strictObject({ tokens: v.pipe(v.array(u32), v.maxLength(TOKENS_MAX)) }),
  host: none,
  watch: v.strictObject({
    after: v.optional(v.pipe(v.string(), v.maxLength(CURSOR_MAX))),
    kinds: v.optional(v.pipe(v.array(v.picklist(WATCH_KINDS)), v.minLength(1), v.maxLength(WATCH_KINDS.length))),
    token: v.optional(u32),
    pace: v.optional(whole(WATCH_PACE.min, WATCH_PACE.max)),
  }),
  recording: none,
  history: v.strictObject({
    since: v.optional(v.pipe(v.number(), v.minValue(0))),
    token: v.optional(u32),
    skip: v.optional(whole(0, 1_000_000)),
  }),
  rules: none,
  reload: none,
} as const satisfies { readonly [M in ControlMethod]: v.GenericSchema };

/** The parameters of each method, checked. */
export type Parameters = { readonly [M in ControlMethod]: v.InferOutput<(typeof PARAMETERS)[M]> };

/** A request that passed. */
export type CheckedRequest = {
  readonly [M in ControlMethod]: { readonly method: M; readonly params: Parameters[M] };
}[ControlMethod];

/** Of what somebody sent, so much is repeated to them. */
const QUOTED_MAX = 60;

/** @returns the request, or what is wrong with it and where */
export function checkRequest(method: string, params: unknown): CheckedRequest | ControlFailure {
  if (!Object.hasOwn(PARAMETERS, method)) {
    const message = `unknown method ${quote(method)}; there are ${Object.keys(PARAMETERS).join(", ")}`;
    return { code: "REQUEST", path: "method", message };
  }
  // To the library an array is an object too.
  const parsed = v.safeParse(PARAMETERS[method as ControlMethod], Array.isArray(params) ? null : params);
  if (parsed.success) return { method, params: parsed.output } as CheckedRequest;
  const issue = parsed.issues[0];
  const path = ["params", ...(issue.path ?? []).map((item) => quote(String(item.key)).slice(1, -1))].join(".");
  return { code: "REQUEST", path, message: `${method}: ${path}: ${issue.message.slice(0, 4 * QUOTED_MAX)}` };
}

function quote(text: string): string {
  return JSON.stringify(text.length > QUOTED_MAX ? `${text.slice(0, QUOTED_MAX)}...` : text);
}
