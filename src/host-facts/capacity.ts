import type { Capacity } from "../host/index.ts";
import { type Features, NetlinkError, NetnsError, probeFeatures } from "../netlink/index.ts";

/** The kernel's limits where it could not be probed (no CAP_SYS_ADMIN): those of every kernel before 7.2. */
const UNPROBED = { endpoints: 8, limit: 8 };

/** What the table of a path manager has room for; ours imitates the kernel's, and always knows `laminar`. */
export function kernelCapacity(pathManager: "kernel" | "userspace"): Capacity {
  const features = tryToProbe();
  return {
    endpoints: features?.endpointsMax ?? UNPROBED.endpoints,
    limit: features?.limitMax ?? UNPROBED.limit,
    laminar: pathManager === "userspace" || features?.laminar === true,
  };
}

function tryToProbe(): Features | undefined {
  try {
    return probeFeatures();
  } catch (error) {
    if (error instanceof NetlinkError || error instanceof NetnsError) return undefined;
    throw error;
  }
}
