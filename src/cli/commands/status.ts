import { release } from "node:os";
import type { LeftOutEndpoint } from "../../host/index.ts";
import { type MptcpPm, probeFeatures, readCounters, readMptcpSysctls, readPathManager } from "../../netlink/index.ts";
import { SubflowError } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { CAPABILITY_REMEDY, EXIT, isKernelRefusal } from "../failure.ts";
import type { GlobalOptions } from "../global-options.ts";
import { Interfaces } from "../interfaces.ts";
import { renderJson } from "../json.ts";
import { wrapped } from "../layout.ts";
import { parseOptions } from "../options.ts";
import { type Status, statusJson, statusText } from "../status-text.ts";
import { withEndpointTable, withPathManager } from "../target.ts";

/** `status`. Shows what can be read without rights, and says what could not. */
export async function run(context: Context): Promise<number> {
  const { global, streams } = context;
  parseOptions(context);
  const interfaces = new Interfaces(global);
  const name = (index: number): string => interfaces.name(index);
  const notes: string[] = [];
  const table = await readTable(global, notes);
  const daemon = await readDaemon(global);
  const status = withPathManager(global, (manager) =>
    readStatus(manager, { netns: global.netns, table, notes, ...daemon }),
  );
  if (global.json) streams.out(renderJson(statusJson(status, name), global.pretty));
  else streams.out(statusText(status, name, streams));
  for (const note of status.notes) streams.err(`${wrapped(note, streams.width, 0).join("\n")}\n`);
  return EXIT.success;
}

type Table = Pick<Status, "limits" | "endpoints">;

async function readTable(global: GlobalOptions, notes: string[]): Promise<Table> {
  try {
    return await withEndpointTable(global, async (table) => ({
      limits: await table.limits(),
      endpoints: await table.endpoints(),
    }));
  } catch (error) {
    if (!(error instanceof SubflowError)) throw error;
    notes.push(`Limits and endpoints are not shown: ${error.message}.`);
    return { limits: undefined, endpoints: undefined };
  }
}

type DaemonPart = Pick<Status, "daemon" | "daemonError">;

/** Nothing to say of a daemon that is not there: most hosts have none. */
async function readDaemon({ netns }: GlobalOptions): Promise<DaemonPart> {
  const { ask, NoDaemonError } = await import("../../control/index.ts");
  try {
    const hello = await ask("hello", {}, { netns });
    const plan = (await ask("host", {}, { netns })) as { leftOut: LeftOutEndpoint[] } | null;
    return { daemon: { hello, leftOut: plan?.leftOut ?? [] }, daemonError: undefined };
  } catch (error) {
    if (!(error instanceof SubflowError)) throw error;
    return { daemon: undefined, daemonError: error instanceof NoDaemonError ? undefined : error.message };
  }
}

function readStatus(
  manager: MptcpPm,
  { netns, table, notes, ...daemon }: { netns: string | undefined; table: Table; notes: string[] } & DaemonPart,
): Status {
  const features = probeFeatures();
  if (features.limitMax === undefined)
    notes.push("What the kernel can do is found by trying, which needs CAP_SYS_ADMIN.");
  let connections: Status["connections"];
  try {
    connections = manager.connections();
    if (connections.length > 0 && connections.every(({ pathManager }) => pathManager === undefined)) {
      notes.push(`Which path manager owns the connections is not shown. ${CAPABILITY_REMEDY}`);
    }
  } catch (error) {
    if (!isKernelRefusal(error)) throw error;
    notes.push(`Connections are not shown: ${error.message}.`);
  }
  return {
    release: release(),
    features,
    pathManager: readPathManager(netns),
    sysctls: readMptcpSysctls(netns),
    ...table,
    connections,
    counters: readCounters(netns),
    ...daemon,
    notes,
  };
}
