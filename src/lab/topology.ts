import * as v from "valibot";
import { parse, YAMLParseError } from "yaml";
import { addressBytes } from "../types/index.ts";
import { LabError } from "./errors.ts";
import { checkRoute, printable, routeDevices } from "./route.ts";

/** "10.0.1.1/24": an interface address as `ip address add` takes it. */
const Cidr = v.pipe(
  v.string(),
  v.check((text) => {
    const [address, prefix, ...rest] = text.split("/");
    const bytes = addressBytes(address ?? "");
    return rest.length === 0 && bytes !== undefined && /^\d+$/.test(prefix ?? "") && Number(prefix) <= bytes.length * 8;
  }, 'an address must look like "10.0.1.1/24" or "fd00:1::1/64"'),
);

// IFNAMSIZ: an interface's name has at most 15 characters.
const Name = v.pipe(v.string(), v.regex(/^[A-Za-z][A-Za-z0-9_-]{0,14}$/, "a name has 1 to 15 letters, digits, - or _"));
/** The kernel's own, in every namespace (`all` and `default` are directories of net.ipv4.conf). */
const RESERVED = ["lo", "all", "default"];
const LinkName = v.pipe(
  Name,
  v.check((name) => !RESERVED.includes(name), `a link cannot be named ${RESERVED.join(", ")}: the kernel has these`),
);
const Rate = v.pipe(v.string(), v.regex(/^\d{1,12}(\.\d{1,6})?[kmg]?bit$/, 'a rate must look like "20mbit"'));
/**
 * Of the network namespace only: anything else under /proc/sys is the whole machine's. As sysctl(8) writes them, a slash
 * being a dot inside a name; ".." and the like are not possible.
 */
const SysctlName = v.pipe(
  v.string(),
  v.regex(/^net(\.[A-Za-z0-9_-]+([/][A-Za-z0-9_-]+)*)+$/, "only sysctls of the namespace: net.NAME..."),
);
const SysctlValue = v.union(
  [
    v.pipe(v.string(), v.regex(/^[\x20-\x7e\t]{0,1000}$/, "a sysctl's value is one line of plain text")),
    v.pipe(v.number(), v.safeInteger()),
  ],
  "a sysctl's value is a whole number or one line of plain text",
);
const Sysctls = v.record(SysctlName, SysctlValue);
const Route = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const route = checkRoute(dataset.value);
    if (typeof route !== "string") return route.line;
    addIssue({ message: route });
    return NEVER;
  }),
);

const HostSchema = v.strictObject({
  /** Written before any interface exists: name to value. */
  sysctls: v.optional(Sysctls, {}),
  /**
   * One routing table per link, chosen by source address, with a default route to the link's other end: what a host with
   * several uplinks needs, so that a subflow leaves by the interface that has its address.
   */
  sourceRoutes: v.optional(v.boolean(), false),
  /** Further routes, as words of `ip route replace`. */
  routes: v.optional(v.array(Route), []),
});

const LinkSchema = v.strictObject({
  /** Also the name of the interface at both ends. */
  name: LinkName,
  /** Exactly two hosts, each with its addresses on this link. */
  ends: v.pipe(
    v.record(Name, v.array(Cidr)),
    v.check((ends) => Object.keys(ends).length === 2, "a link has exactly two ends"),
  ),
  /** Of each direction; unlimited when absent. */
  rate: v.optional(Rate),
  /** Milliseconds of data that the queue in front of the rate holds before it drops. */
  queue: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(60_000)), 50),
});

const TopologySchema = v.strictObject({ hosts: v.record(Name, HostSchema), links: v.array(LinkSchema) });

/** Hosts and the links between them, as written down; see docs/lab.md. */
export type Topology = v.InferInput<typeof TopologySchema>;
/** A {@link Topology} that was checked, with every default filled in. */
export type CheckedTopology = v.InferOutput<typeof TopologySchema>;
/** One link of a {@link CheckedTopology}. */
export type LinkDescription = CheckedTopology["links"][number];

/** Checks a topology; throws {@link LabError} that names the place. */
export function checkTopology(topology: unknown, file?: string): CheckedTopology {
  const result = v.safeParse(TopologySchema, topology);
  const where = file ? `${file}: ` : "";
  if (!result.success) {
    const issue = result.issues[0];
    const place = printable(v.getDotPath(issue) ?? "topology");
    throw new LabError(`${where}${place}: ${issue.message}`, { code: "LAB_TOPOLOGY" });
  }
  const fault = contradiction(result.output);
  if (fault) throw new LabError(`${where}${fault}`, { code: "LAB_TOPOLOGY" });
  return result.output;
}

/** What no single entry can show: names that are taken, or that nothing has. */
function contradiction({ hosts, links }: CheckedTopology): string | undefined {
  const names = new Set<string>();
  for (const { name, ends } of links) {
    const stranger = Object.keys(ends).find((host) => !Object.hasOwn(hosts, host));
    if (stranger) return `link ${name} ends at "${stranger}", which is no host`;
    if (names.has(name)) return `two links are named "${name}"`;
    names.add(name);
  }
  const variables = new Map<string, string>();
  for (const [host, { routes }] of Object.entries(hosts)) {
    const twin = variables.get(labVariable(host));
    if (twin !== undefined) return `the hosts "${twin}" and "${host}" would share the variable ${labVariable(host)}`;
    variables.set(labVariable(host), host);
    const own = ["lo", ...links.filter(({ ends }) => Object.hasOwn(ends, host)).map(({ name }) => name)];
    const device = routes.flatMap(routeDevices).find((name) => !own.includes(name));
    if (device) return `a route of ${host} leads over "${device}", where it has: ${own.join(", ")}`;
  }
  return undefined;
}

/** SUBFLOW_LAB_WEB_1 for "web-1": the variable in which a command of `lab run` finds the namespace of a host. */
export function labVariable(host: string): string {
  return `SUBFLOW_LAB_${host.toUpperCase().replaceAll("-", "_")}`;
}

/** Reads a topology from YAML text; `file` is for messages. */
export function parseTopology(text: string, file: string): CheckedTopology {
  try {
    return checkTopology(parse(text), file);
  } catch (error) {
    if (error instanceof YAMLParseError)
      throw new LabError(`${file}: ${error.message}`, { code: "LAB_TOPOLOGY", cause: error });
    throw error;
  }
}

/** A client with two paths to a server, to begin with. */
export const EXAMPLE_TOPOLOGY = `# A client with two paths to a server.
hosts:
  client:
    sourceRoutes: true          # leave by the interface that has the source address
    routes:                     # two ways out, as a laptop has them: wifi is preferred
      - default via 10.0.1.2 dev wifi metric 100
      - default via 10.0.2.2 dev cellular metric 200
    sysctls: { net.mptcp.enabled: 1 }
  server: {}
links:
  - name: wifi
    rate: 20mbit
    ends:
      client: [10.0.1.1/24, "fd00:1::1/64"]
      server: [10.0.1.2/24, "fd00:1::2/64"]
  - name: cellular
    rate: 10mbit
    queue: 100                  # milliseconds
    ends:
      client: [10.0.2.1/24]
      server: [10.0.2.2/24]
`;
