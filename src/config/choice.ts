import type { Config, PolicyName } from "./schema.ts";

export type PathManager = "kernel" | "userspace";

/** Which path manager is used, and the reason, for people. */
export interface Choice {
  readonly pathManager: PathManager;
  readonly because: string;
}

/** The policy in charge of connections. Who lists endpoints gets what the kernel would make of them. */
export function choosePolicy({ policy, automatic }: Pick<Config, "policy" | "automatic">): PolicyName {
  if (policy !== "auto") return policy;
  return automatic ? "resilient" : "standard";
}

function isOnlyOurs({ policy }: Pick<Config, "policy">): boolean {
  return policy !== "auto" && policy !== "resilient" && policy !== "standard";
}

/** What a configuration asks for that cannot be had together; undefined: nothing. */
export function contradiction(config: Pick<Config, "policy" | "path_manager">): string | undefined {
  if (config.path_manager !== "kernel" || !isOnlyOurs(config)) return undefined;
  return `policy ${config.policy} needs the userspace path manager, and path_manager is kernel`;
}

/** What only the userspace path manager can do, of what a configuration asks for. */
function onlyOurs(config: Config): string | undefined {
  const { allow, deny } = config.remote_addresses;
  if (isOnlyOurs(config)) return `the in-kernel one cannot do what policy ${config.policy} says`;
  return allow.length + deny.length > 0 ? "the in-kernel one connects to whatever peers announce" : undefined;
}

/**
 * The path manager of a configuration.
 * @param current the one in charge before any daemon
 */
export function choosePathManager(config: Config, current: PathManager): Choice {
  if (config.path_manager !== "auto") {
    return { pathManager: config.path_manager, because: "the configuration or the command line says so" };
  }
  const reason = onlyOurs(config);
  if (reason !== undefined) return { pathManager: "userspace", because: reason };
  if (current === "userspace")
    return { pathManager: "userspace", because: "net.mptcp.path_manager is userspace already" };
  return { pathManager: "kernel", because: "nothing in the configuration needs the userspace one" };
}
