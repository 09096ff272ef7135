import * as v from "valibot";
import { parsePrefix } from "../types/index.ts";
import { POLICY } from "./policy-schema.ts";
import { count, delay } from "./shared-schema.ts";
import { isTimeOfDay, WEEKDAYS } from "./times.ts";

/** One, or a list of them. */
function oneOrMore<const S extends v.GenericSchema>(schema: S) {
  return v.union([schema, v.pipe(v.array(schema), v.minLength(1, "the list is empty"))]);
}

const network = v.pipe(
  v.string("a network, in quotes when it has colons"),
  v.check((text) => parsePrefix(text) !== undefined, "not a network (10.0.0.0/8, 2001:db8::/32) or an address"),
);
/** 443, or "8000-8080". */
const ports = v.pipe(
  v.union([v.number(), v.string()], "a port is a number, or two with a dash between"),
  v.check((written) => portRange(written) !== undefined, "not a port (1 to 65535) or a range of ports (8000-8080)"),
);
const pattern = v.pipe(v.string(), v.minLength(1));
const user = v.union([v.pipe(v.string(), v.minLength(1)), v.pipe(v.number(), v.integer(), v.minValue(0))]);
const patterns = (what: string) => v.optional(v.pipe(oneOrMore(pattern), v.description(what)));

/** 443 → [443, 443], "8000-8080" → [8000, 8080]; undefined: it is none. */
export function portRange(written: string | number): readonly [number, number] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(written));
  if (!match) return undefined;
  const from = Number(match[1]);
  const to = Number(match[2] ?? match[1]);
  return from >= 1 && from <= to && to <= 65_535 ? [from, to] : undefined;
}

const match = v.strictObject({
  side: v.optional(v.pipe(v.picklist(["client", "server"]), v.description("which end of the connection this host is"))),
  remote: v.optional(v.pipe(oneOrMore(network), v.description("network or address of the peer"))),
  remote_port: v.optional(v.pipe(oneOrMore(ports), v.description("443, or 8000-8080"))),
  local: v.optional(v.pipe(oneOrMore(network), v.description("network or address that it began with here"))),
  local_port: v.optional(v.pipe(oneOrMore(ports), v.description("of a server: which service"))),
  interface: patterns("where it began; a shell pattern: wlan*"),
  user: v.optional(v.pipe(oneOrMore(user), v.description("name or number of who has the socket"))),
  unit: patterns("systemd unit that has the socket: backup.service; a shell pattern"),
  cgroup: patterns("cgroup that has the socket, or one above it: /user.slice; a shell pattern"),
  command: patterns("command that has the socket, as ps -o comm says; a shell pattern"),
  time: v.optional(
    v.pipe(
      v.string(),
      v.check(isTimeOfDay, "not a time of day (08:00-18:00, 22:00-06:00)"),
      v.description("when connections begin, local time: 22:00-06:00"),
    ),
  ),
  days: v.optional(v.pipe(oneOrMore(v.picklist(WEEKDAYS)), v.description("days on which the time begins"))),
});

/** One rule: what it is for, and how that is treated. */
export const RULE = v.pipe(
  v.strictObject({
    name: v.optional(
      v.pipe(v.string(), v.minLength(1), v.maxLength(64), v.description("what why and connections call it")),
    ),
    match: v.pipe(match, v.description("all of it must hold; of a list, one")),
    policy: v.optional(POLICY),
    delay,
    limits: v.optional(
      v.strictObject({
        subflows: v.optional(count("subflows", 0, 64)),
        add_addr_accepted: v.optional(count("add_addr_accepted", 0, 64)),
      }),
    ),
    interfaces: v.optional(
      v.pipe(
        v.strictObject({
          allow: patterns("no subflow from others"),
          deny: patterns("no subflow from these"),
          backup: patterns("subflows from these are backup"),
        }),
        v.description("shell patterns of names"),
      ),
    ),
  }),
  v.check(
    ({ policy, delay: wait, limits, interfaces }) =>
      [policy, wait, limits, interfaces].some((said) => said !== undefined),
    "a rule says something of policy, delay, limits or interfaces",
  ),
);

export type WrittenRule = v.InferOutput<typeof RULE>;
