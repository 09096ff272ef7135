import { loadNative } from "../netlink/index.ts";
import { errnoName, SubflowError } from "../types/index.ts";

/** Numbers of linux/capability.h, all below 32. */
export const CAPABILITY = { DAC_READ_SEARCH: 2, NET_BIND_SERVICE: 10, NET_ADMIN: 12, SYS_PTRACE: 19 } as const;

/**
 * What the daemon keeps: CAP_NET_ADMIN for every command and for sysctls of its namespace, CAP_NET_BIND_SERVICE for
 * `signal` endpoints with a port below 1024.
 */
const KEPT = [CAPABILITY.NET_ADMIN, CAPABILITY.NET_BIND_SERVICE];

/** A capability that is needed and not there. */
export class CapabilityError extends SubflowError {
  constructor(needs: string, what: string) {
    super(`${what} needs ${needs}; run as root, or give the service AmbientCapabilities=${needs}`, {
      code: "CAPABILITY",
    });
  }
}

/** What cannot be read is not none: whoever keeps none of what it has cannot even put things back. */
function effective(): number {
  const found = loadNative().getCapabilities();
  if (typeof found !== "number") return found.effectiveLow;
  throw new SubflowError(`cannot read the capabilities: ${errnoName(-found)}`, { code: "CAPABILITY" });
}

/** @throws CapabilityError without CAP_NET_ADMIN */
export function requireNetAdmin(what: string): void {
  if (!(effective() & (1 << CAPABILITY.NET_ADMIN))) throw new CapabilityError("CAP_NET_ADMIN", what);
}

/**
 * Gives up every capability but {@link KEPT}, for good.
 * @param seesProcesses rules ask which command has a socket: to read /proc/PID/fd of other users takes both CAP_DAC_READ_SEARCH, for the folder, and
 *   CAP_SYS_PTRACE, for what stands in it
 */
export function dropCapabilities({ seesProcesses }: { readonly seesProcesses: boolean }): void {
  const kept = seesProcesses ? [...KEPT, CAPABILITY.DAC_READ_SEARCH, CAPABILITY.SYS_PTRACE] : KEPT;
  const keep = kept.reduce((mask, capability) => mask | (1 << capability), 0) & effective();
  const result = loadNative().dropCapabilities(keep, 0);
  if (result < 0) throw new SubflowError(`cannot give up capabilities: ${errnoName(-result)}`, { code: "CAPABILITY" });
}
