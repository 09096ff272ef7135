import { KERNEL_POLICIES, type KernelPolicy } from "../host/index.ts";
import { ENDPOINT_FLAG, type Endpoint } from "../types/index.ts";
import { type PolicyChoice, policyChoice } from "./policy-schema.ts";
import type { Config } from "./schema.ts";

export type PathManager = "kernel" | "userspace";

/** Which path manager is used, and the reason, for people. */
export interface Choice {
  readonly pathManager: PathManager;
  readonly because: string;
}

/** The policy in charge of connections. Who lists endpoints gets what the kernel would make of them. */
export function choosePolicy({ policy, automatic }: Pick<Config, "policy" | "automatic">): PolicyChoice {
  const chosen = policyChoice(policy);
  if (chosen.policy !== "auto") return chosen;
  return { policy: automatic ? "resilient" : "standard", given: {} };
}

/** The policy as flags and limits have the in-kernel path manager do it; undefined: it is none of those that they can say. */
export function kernelPolicyOf(config: Pick<Config, "policy" | "automatic">): KernelPolicy | undefined {
  const { policy, given } = choosePolicy(config);
  return Object.keys(given).length === 0 ? KERNEL_POLICIES.find((name) => name === policy) : undefined;
}

/** What flags and limits of the in-kernel path manager come close to. */
const IN_KERNEL: ReadonlySet<string> = new Set(["auto", "resilient", "standard"]);

/** What is asked for that only the userspace path manager can do; undefined: nothing. */
function onlyOurs({ policy, delay, rules }: Pick<Config, "policy" | "delay" | "rules">): string | undefined {
  const { policy: name } = policyChoice(policy);
  if (!IN_KERNEL.has(name)) return `policy ${name}`;
  if (delay !== undefined) return "delay";
  return rules.length > 0 ? "rules" : undefined;
}

/** What a configuration asks for that cannot be had together; undefined: nothing. */
export function contradiction(
  config: Pick<Config, "policy" | "delay" | "rules" | "path_manager" | "automatic">,
): { readonly key: string; readonly problem: string } | undefined {
  if (config.path_manager !== "kernel") return undefined;
  // As near as flags come, where somebody asks for it; by itself nobody is given less than the policy says.
  const isSaid = kernelPolicyOf(config) !== undefined;
  const ours = onlyOurs(isSaid ? { ...config, policy: "auto" } : config);
  if (ours === undefined) return undefined;
  const key = ours.split(" ")[0] ?? "";
  const { policy, given } = policyChoice(config.policy);
  const isNear = key === "policy" && KERNEL_POLICIES.some((name) => name === policy);
  const what = isNear ? `${ours} with ${Object.keys(given).join(", ")}` : ours;
  return {
    key,
    problem: `${what} ${ours === "rules" ? "need" : "needs"} the userspace path manager, and path_manager is kernel`,
  };
}

/** Why it must be the userspace path manager; undefined: it need not be. */
function reasonForOurs(config: Config): string | undefined {
  const { allow, deny } = config.remote_addresses;
  const ours = onlyOurs(config);
  if (ours !== undefined) return `the in-kernel one cannot do what ${ours} ${ours === "rules" ? "say" : "says"}`;
  return allow.length + deny.length > 0 ? "the in-kernel one connects to whatever peers announce" : undefined;
}

/** What the choice of a path manager depends on beside the configuration. */
export interface ChoiceFacts {
  /** The one in charge before any daemon. */
  readonly current: PathManager;
  /** The kernel's own table. */
  readonly endpoints: readonly Endpoint[];
  /** Does an endpoint stem from an earlier life of the daemon? */
  readonly isOurs: (endpoint: Endpoint) => boolean;
}

const { implicit, signal, backup } = ENDPOINT_FLAG;

/** Why the kernel's table is better left in charge; undefined: what is in it says no more than we would. */
function kernelsTable({ endpoints, isOurs }: ChoiceFacts): string | undefined {
  const set = endpoints.filter(({ flags }) => !(flags & implicit));
  if (set.some(isOurs)) return "endpoints of an earlier start are in the kernel's table";
  const said = set.find(({ flags, port }) => (flags & (signal | backup)) !== 0 || port !== 0);
  return said && `somebody set the endpoint ${said.address} in the kernel's table`;
}

/**
 * The path manager of a configuration. Where nothing speaks for either it is the userspace one: played with each single loss, on Linux 6.1 and
 * 6.18, it covered every address and brought lost subflows back where the in-kernel one did not (`npm run bench -- matrix`, `covering`).
 */
export function choosePathManager(config: Config, facts: ChoiceFacts): Choice {
  const userspace = (because: string): Choice => ({ pathManager: "userspace", because });
  const kernel = (because: string): Choice => ({ pathManager: "kernel", because });
  const said = "the configuration or the command line says so";
  if (config.path_manager !== "auto") return { pathManager: config.path_manager, because: said };
  const reason = reasonForOurs(config);
  if (reason !== undefined) return userspace(reason);
  if (facts.current === "userspace") return userspace("net.mptcp.path_manager is userspace already");
  if (choosePolicy(config).policy === "standard") return kernel("policy standard is what the in-kernel one does");
  const table = kernelsTable(facts);
  if (table !== undefined) return kernel(table);
  return userspace("the in-kernel one neither covers every address nor brings every lost subflow back");
}
