import { isAbsolute } from "node:path";
import * as v from "valibot";
import { INTERFACE_KINDS, ROLES } from "../host/index.ts";
import { ENDPOINT_FLAG, parseAddress, parsePrefix } from "../types/index.ts";
import { BLACK_BOX } from "./black-box.ts";
import { POLICY_NAME, POLICY_OR_AUTO } from "./policy-schema.ts";
import { QUOTA } from "./quota.ts";
import { RULE } from "./rule-schema.ts";
import { count, delay, limit } from "./shared-schema.ts";

/** Words of ip-mptcp(8) that may stand in a configuration: `implicit` is the kernel's own. */
const FLAGS = ["signal", "subflow", "backup", "fullmesh", "laminar"] as const;

const anyAddress = v.pipe(
  v.string("an IP address, in quotes when it has colons"),
  v.check((text) => parseAddress(text) !== undefined, "not an IP address"),
);
const address = v.pipe(anyAddress, v.description("IPv4 or IPv6 address of this host"));

const endpoint = v.pipe(
  v.strictObject({
    address,
    dev: v.optional(v.pipe(v.string(), v.minLength(1), v.description("interface of the address"))),
    id: v.optional(v.pipe(count("id", 1, 255), v.description("address id; chosen when absent"))),
    port: v.optional(v.pipe(count("port", 1, 65535), v.description("announce this port too; needs signal"))),
    flags: v.pipe(v.array(v.picklist(FLAGS)), v.description("as in ip-mptcp(8)")),
  }),
  v.forward(
    v.check(
      ({ flags }) => !(flags.includes("signal") && flags.includes("fullmesh")),
      "signal and fullmesh exclude each other",
    ),
    ["flags"],
  ),
  v.forward(
    v.check(
      ({ flags }) => flags.includes("signal") || flags.includes("subflow") || flags.includes("laminar"),
      "an endpoint without signal, subflow or laminar does nothing",
    ),
    ["flags"],
  ),
  v.forward(
    v.check(
      ({ flags, port }) => port === undefined || (flags.includes("signal") && !flags.includes("subflow")),
      "a port needs the flag signal, and not subflow",
    ),
    ["port"],
  ),
);

const pattern = v.pipe(v.string(), v.minLength(1));

const COST_MAX = 100_000;

const interfaceRule = v.pipe(
  v.strictObject({
    name: v.optional(v.pipe(pattern, v.description("shell pattern: wlan*, eth[01]"))),
    kind: v.optional(v.picklist(INTERFACE_KINDS)),
    connection: v.optional(
      v.pipe(pattern, v.description("as NetworkManager or systemd-networkd call it; a shell pattern")),
    ),
    role: v.picklist(ROLES),
    also_without_default_route: v.optional(v.boolean(), false),
    announce_as: v.optional(
      v.pipe(
        anyAddress,
        v.description("peers know its addresses of this family as this one: a NAT in front of it forwards to them"),
      ),
    ),
    metered: v.optional(
      v.pipe(v.boolean(), v.description("what is sent there costs money; by default: where kind is cellular")),
    ),
    cost: v.optional(
      v.pipe(
        count("cost", 0, COST_MAX),
        v.description(
          "what it costs to send there, in units of your own: what costs less is preferred; by default: nothing",
        ),
      ),
    ),
    quota: v.optional(QUOTA),
  }),
  v.check(
    ({ name, kind, connection }) => name !== undefined || kind !== undefined || connection !== undefined,
    "a rule needs at least one of name, kind, connection",
  ),
);

const prefix = v.pipe(
  v.string("a network, in quotes when it has colons"),
  v.check((text) => parsePrefix(text) !== undefined, "not a network (10.0.0.0/8, 2001:db8::/32)"),
  v.description("a network, or an address"),
);

/** As many as a host has seldom more of. The in-kernel algorithm does not open first the pairs that matter: only room for all covers every address. */
const EXPECTED = 4;
const expected = v.optional(
  v.pipe(count("expected", 1, 64), v.description("addresses that a peer is expected to have, for computed limits")),
  EXPECTED,
);

/**
 * What may be connected to when a peer announces it. By default: nothing impossible, no address of this host, and no inner network
 * (RFC 1918, RFC 6598, RFC 4193, link-local) that a peer outside of it names, for otherwise a server could make its clients scan
 * the networks that they are in.
 */
const remoteAddresses = v.pipe(
  v.union(
    [
      v.pipe(
        count("remote_addresses", 1, 64),
        v.transform((number) => ({ expected: number })),
      ),
      v.strictObject({
        expected,
        allow: v.optional(v.pipe(v.array(prefix), v.description("also where the default says no"))),
        deny: v.optional(v.pipe(v.array(prefix), v.description("whatever else is said"))),
      }),
    ],
    "remote_addresses is a number, or has expected, allow, deny",
  ),
  v.transform(({ expected, ...lists }: { expected: number; allow?: string[]; deny?: string[] }) => ({
    expected,
    allow: lists.allow ?? [],
    deny: lists.deny ?? [],
  })),
);

/** The configuration file, as written. */
export const CONFIG_SCHEMA = v.strictObject({
  path_manager: v.optional(
    v.pipe(
      v.picklist(["auto", "kernel", "userspace"]),
      v.description("auto: the in-kernel one unless something here needs the userspace one"),
    ),
    "auto",
  ),
  policy: v.optional(
    v.pipe(
      POLICY_OR_AUTO,
      v.description("which policy plans the subflows; auto: resilient, or standard where automatic is false"),
    ),
    "auto",
  ),
  delay,
  rules: v.optional(
    v.pipe(v.array(RULE), v.description("the first that matches a connection says how it is treated")),
    [],
  ),
  plugins: v.optional(
    v.pipe(
      v.record(
        v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, "a name has letters, digits, - and _, at most 32")),
        v.pipe(v.string(), v.check(isAbsolute, "a path from /, for it is read by another user elsewhere")),
      ),
      v.description("policies of your own, each in a process of its own: files by names; used as plugin:NAME"),
    ),
    {},
  ),
  profile: v.optional(
    v.pipe(
      v.picklist(["client", "server"]),
      v.description("client: interfaces open subflows; server: they are announced"),
    ),
    "client",
  ),
  automatic: v.optional(
    v.pipe(v.boolean(), v.description("endpoints, limits, routing and sysctls that follow the interfaces")),
    true,
  ),
  interfaces: v.optional(
    v.pipe(v.array(interfaceRule), v.description("the first rule that fits an interface decides")),
    [],
  ),
  limits: v.optional(
    v.strictObject({
      subflows: v.pipe(limit("subflows"), v.description("additional subflows of a connection")),
      add_addr_accepted: v.pipe(
        limit("add_addr_accepted"),
        v.description("ADD_ADDRs of the peer that lead to subflows"),
      ),
    }),
    {},
  ),
  remote_addresses: v.optional(remoteAddresses, {}),
  endpoints: v.optional(v.array(endpoint), []),
  foreign_endpoints: v.optional(
    v.pipe(
      v.picklist(["ignore", "adopt", "replace"]),
      v.description("what becomes of endpoints that somebody else added"),
    ),
    "ignore",
  ),
  routing: v.optional(
    v.pipe(v.picklist(["auto", "always", "never"]), v.description("a rule and a table for each path address")),
    "auto",
  ),
  rp_filter: v.optional(
    v.pipe(v.boolean(), v.description("relax a strict rp_filter (1) to loose (2) on used interfaces")),
    true,
  ),
  enable_mptcp: v.optional(v.pipe(v.boolean(), v.description("set net.mptcp.enabled where it is 0")), false),
  behind_load_balancer: v.optional(
    v.pipe(v.boolean(), v.description("peers join announced addresses only: allow_join_initial_addr_port=0")),
    false,
  ),
  keep_on_exit: v.optional(
    v.pipe(
      v.boolean(),
      v.description("leave endpoints, limits, routing, sysctls and path manager as they are at the end"),
    ),
    false,
  ),
  applications: v.optional(
    v.pipe(
      v.union(
        [
          v.picklist(["none", "see"]),
          v.strictObject({
            steer: v.pipe(
              v.array(POLICY_NAME),
              v.minLength(1, "the list is empty"),
              v.description("policies that they may ask for, of connections of their own"),
            ),
          }),
        ],
        "applications is none, see, or { steer: [POLICY, ...] }",
      ),
      v.description("what programs of other users may do with their own connections: nothing, see them, or also steer"),
    ),
    "see",
  ),
  answers: v.optional(
    v.strictObject({
      spin: v.optional(
        v.pipe(
          v.boolean(),
          v.description("the thread that answers MPTCP events never sleeps; it takes a whole processor (userspace)"),
        ),
        false,
      ),
    }),
    {},
  ),
  black_box: BLACK_BOX,
  privacy: v.optional(
    v.pipe(
      v.picklist(["off", "mask"]),
      v.description("mask: addresses are not written into the black box, others of the same network and scope are"),
    ),
    "off",
  ),
  log: v.optional(
    v.strictObject({
      level: v.optional(v.picklist(["debug", "info", "warn", "error"]), "info"),
      format: v.optional(v.picklist(["auto", "human", "json"]), "auto"),
    }),
    {},
  ),
});

/** A configuration with every default filled in. */
export type Config = v.InferOutput<typeof CONFIG_SCHEMA>;
export type ConfigEndpoint = Config["endpoints"][number];

/** ["subflow", "backup"] → the bits of {@link ENDPOINT_FLAG}. */
export function flagBits(flags: ConfigEndpoint["flags"]): number {
  return flags.reduce((bits, flag) => bits | ENDPOINT_FLAG[flag], 0);
}
