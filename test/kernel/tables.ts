import { existsSync } from "node:fs";
import { runtimeFiles } from "../../src/control/index.ts";
import { endpointKey, rpFilterName } from "../../src/host/index.ts";
import type { Host } from "../../src/lab/index.ts";
import { MptcpPm, Rtnl, readMptcpSysctls } from "../../src/netlink/index.ts";
import { AF_INET } from "../../src/types/index.ts";
import { stateOf } from "./daemon-support.ts";
import { type PathManager, tableOf } from "./host-support.ts";

/** Everything that a daemon changes, as sorted text: what is there twice stands there twice. */
export async function tablesOf(host: Host, pathManager: PathManager) {
  using pm = MptcpPm.open({ netns: host.netns });
  using rtnl = Rtnl.open({ netns: host.netns });
  const { socket, state, lock } = runtimeFiles(host.netns);
  const isRunning = existsSync(state);
  const owned = isRunning ? stateOf(host).host.owned.sort() : [];
  const devices = ["all", ...rtnl.links().map(({ name }) => name)];
  const table = await tableOf(host, isRunning ? pathManager : "kernel");
  const sorted = (values: readonly object[]): string[] => values.map((value) => JSON.stringify(value)).sort();
  return {
    owned,
    // Ids of ours may be others after a restart.
    kernel: sorted(pm.endpoints().map((each) => (owned.includes(endpointKey(each)) ? { ...each, id: 0 } : each))),
    table: sorted(table.endpoints.map((each) => ({ ...each, id: 0 }))),
    limits: [pm.limits(), table.limits],
    rules: sorted(rtnl.rules()),
    // The kernel finds duplicates of its IPv6 link-local addresses in its own time.
    routes: sorted(rtnl.routes().filter(({ family }) => family === AF_INET)),
    sysctls: [...readMptcpSysctls(host.netns), ...devices.map((name) => [name, host.sysctl(rpFilterName(name))])],
    files: [socket, state, lock].map((path) => existsSync(path)),
  };
}
export type Tables = Awaited<ReturnType<typeof tablesOf>>;
