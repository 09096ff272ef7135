import type { Capacity } from "../host/index.ts";
import { type Features, type MptcpPm, NetlinkError, NetnsError, probeFeatures } from "../netlink/index.ts";

/** The kernel's limits where it could not be probed (no CAP_SYS_ADMIN): those of every kernel before 7.2. */
const UNPROBED = { endpoints: 8, limit: 8 };
/** Linux 7.2 made both larger at once, and of the limit a refusal tells. Where that is wrong, the kernel refuses an endpoint. */
const ENDPOINTS_WITH_LARGE_LIMIT = 255;

/**
 * What the table of a path manager has room for; ours imitates the kernel's, and always knows `laminar`.
 * @param pm of the namespace, where its connections are to be managed
 */
export function kernelCapacity(pathManager: "kernel" | "userspace", pm?: MptcpPm): Capacity {
  const features = tryToProbe();
  const limit = features?.limitMax ?? UNPROBED.limit;
  // Only a peer could tell whether a SYN had the wish. Linux 6.1 leaves it out, every kernel seen with lists of addresses has it; a wish said twice
  // does no harm.
  const createsNoBackup = pathManager === "userspace" && pm !== undefined && !pm.looksAtTokens;
  const unprobed = limit > UNPROBED.limit ? ENDPOINTS_WITH_LARGE_LIMIT : UNPROBED.endpoints;
  return {
    endpoints: features?.endpointsMax ?? unprobed,
    limit,
    laminar: pathManager === "userspace" || features?.laminar === true,
    ...(createsNoBackup && { createsNoBackup }),
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
