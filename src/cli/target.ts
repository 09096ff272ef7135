import { MptcpPm, readPathManager } from "../netlink/index.ts";
import type { Awaitable, EndpointTable } from "./endpoint-table.ts";
import type { GlobalOptions } from "./global-options.ts";

/**
 * The one place that chooses who answers the endpoint and limits commands: the kernel while its own path manager is in
 * charge, the daemon of the namespace when the userspace one is.
 */
async function openEndpointTable(global: GlobalOptions): Promise<EndpointTable> {
  if (readPathManager(global.netns) !== "userspace") return openPathManager(global);
  const { DaemonTable } = await import("./daemon-table.ts");
  return new DaemonTable(global.netns);
}

/** The kernel's path manager of the namespace that the command line names. */
export function openPathManager({ netns }: GlobalOptions): MptcpPm {
  return MptcpPm.open({ netns });
}

/** Runs `work` with the endpoint table and closes it whatever happens. */
export async function withEndpointTable<T>(
  global: GlobalOptions,
  work: (table: EndpointTable) => Awaitable<T>,
): Promise<T> {
  const table = await openEndpointTable(global);
  try {
    return await work(table);
  } finally {
    table.close();
  }
}

/** Runs `work` with the kernel's path manager and closes it whatever happens. */
export function withPathManager<T>(global: GlobalOptions, work: (manager: MptcpPm) => T): T {
  const manager = openPathManager(global);
  try {
    return work(manager);
  } finally {
    manager.close();
  }
}
