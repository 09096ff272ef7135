import * as v from "valibot";
import { parse, YAMLParseError } from "yaml";
import { addressBytes } from "../types/index.ts";
import { LabError } from "./errors.ts";

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
const Rate = v.pipe(v.string(), v.regex(/^\d+(\.\d+)?[kmg]?bit$/, 'a rate must look like "20mbit"'));
const Sysctls = v.record(v.string(), v.union([v.string(), v.number()]));

const HostSchema = v.strictObject({
  /** Written before any interface exists: name to value. */
  sysctls: v.optional(Sysctls, {}),
  /**
   * One routing table per link, chosen by source address, with a default route to the link's other end: what a host with
   * several uplinks needs, so that a subflow leaves by the interface that has its address.
   */
  sourceRoutes: v.optional(v.boolean(), false),
  /** Further routes, as words of `ip route replace`. */
  routes: v.optional(v.array(v.string()), []),
});

const LinkSchema = v.strictObject({
  /** Also the name of the interface at both ends. */
  name: Name,
  /** Exactly two hosts, each with its addresses on this link. */
  ends: v.pipe(
    v.record(Name, v.array(Cidr)),
    v.check((ends) => Object.keys(ends).length === 2, "a link has exactly two ends"),
  ),
  /** Of each direction; unlimited when absent. */
  rate: v.optional(Rate),
  /** Milliseconds of data that the queue in front of the rate holds before it drops. */
  queue: v.optional(v.pipe(v.number(), v.minValue(1)), 50),
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
    throw new LabError(`${where}${v.getDotPath(issue) ?? "topology"}: ${issue.message}`, { code: "LAB_TOPOLOGY" });
  }
  const names = new Set<string>();
  for (const { name, ends } of result.output.links) {
    const stranger = Object.keys(ends).find((host) => !(host in result.output.hosts));
    if (stranger)
      throw new LabError(`${where}link ${name} ends at "${stranger}", which is no host`, { code: "LAB_TOPOLOGY" });
    if (names.has(name)) throw new LabError(`${where}two links are named "${name}"`, { code: "LAB_TOPOLOGY" });
    names.add(name);
  }
  return result.output;
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
