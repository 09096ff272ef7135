import type { Config } from "./schema.ts";

export type PathManager = "kernel" | "userspace";

/** Which path manager is used, and the reason, for people. */
export interface Choice {
  readonly pathManager: PathManager;
  readonly because: string;
}

/** The policy in charge of connections. Who lists endpoints gets what the kernel would make of them. */
export function choosePolicy({ policy, automatic }: Config): "resilient" | "standard" {
  if (policy !== "auto") return policy;
  return automatic ? "resilient" : "standard";
}

/** What only the userspace path manager can do, of what a configuration asks for. */
function onlyOurs(config: Config): string | undefined {
  const { allow, deny } = config.remote_addresses;
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
