import type { ConnectionExplanation } from "../../engine/index.ts";
import type { MptcpPm } from "../../netlink/index.ts";
import type { Connection, SubflowInfo, Token } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { connectionsJson, connectionTree, type Reasons } from "../connections-text.ts";
import { CAPABILITY_REMEDY, EXIT, failure, wrongArgument } from "../failure.ts";
import type { GlobalOptions } from "../global-options.ts";
import { Interfaces } from "../interfaces.ts";
import { renderJson } from "../json.ts";
import { parseOptions } from "../options.ts";
import { openPathManager } from "../target.ts";
import { formatToken, tokenArgument } from "../words.ts";

/** Cursor home and clear to the end of the screen: redraws without the flicker of clearing first. */
const REDRAW = "\u001b[H\u001b[J";

/** `connections`. */
export async function run(context: Context): Promise<number> {
  const { values, words } = parseOptions(context);
  const token = words[0] === undefined ? undefined : tokenArgument(words[0]);
  const interval = intervalOption(values.interval);
  const { global, streams } = context;
  const manager = openPathManager(global);
  try {
    if (values.watch === undefined) {
      await show(context, readConnections(manager, token));
      return EXIT.success;
    }
    for (;;) {
      if (streams.isTerminal && !global.json) streams.out(REDRAW);
      await show(context, readConnections(manager, undefined, token));
      await new Promise((resolve) => setTimeout(resolve, interval));
    }
  } finally {
    manager.close();
  }
}

function intervalOption(text: string | undefined): number {
  const seconds = Number(text ?? 1);
  if (!(seconds >= 0.1 && seconds <= 3600)) throw wrongArgument(text ?? "", "0.1 to 3600 seconds are possible");
  return seconds * 1000;
}

/** Policy and reasons are asked for as many as a person reads; beyond that `subflow why` answers one by one. */
const EXPLAINED_MAX = 100;

/** What the daemon of the namespace knows; nothing where there is none, or where it is not in charge. */
async function readReasons(connections: readonly Connection[], { netns }: GlobalOptions): Promise<Reasons> {
  const tokens = connections.filter(({ pathManager }) => pathManager === "userspace").map(({ token }) => token);
  const reasons = new Map<Token, ConnectionExplanation>();
  if (tokens.length === 0 || tokens.length > EXPLAINED_MAX) return reasons;
  const { ask } = await import("../../control/index.ts");
  const answers = await ask("why", { tokens }, { netns }).catch(() => []);
  for (const answer of answers as (ConnectionExplanation | null)[]) {
    if (answer) reasons.set(answer.connection.token, answer);
  }
  return reasons;
}

/** With `required` that connection must exist; with `wanted` it may come and go. */
function readConnections(manager: MptcpPm, required: Token | undefined, wanted = required): Connection[] {
  if (wanted === undefined) return manager.connections();
  const found = manager.connection(wanted);
  if (found) return [found];
  if (required === undefined) return [];
  throw failure(`Error: no connection has the token ${formatToken(required)}.`);
}

async function show({ global, streams }: Context, connections: readonly Connection[]): Promise<void> {
  const reasons = await readReasons(connections, global);
  const interfaces = new Interfaces(global);
  const nameOf = (subflow: SubflowInfo): string | undefined => {
    const index = subflow.interfaceIndex || interfaces.holder(subflow.path.local.address);
    return index === undefined ? undefined : interfaces.name(index);
  };
  if (global.json) {
    streams.out(renderJson(connectionsJson(connections, nameOf, reasons), global.pretty));
    return;
  }
  streams.out(connectionTree(connections, { subflowInterface: nameOf, streams, reasons }));
  if (connections.length === 0) streams.err("There are no MPTCP connections.\n");
  else if (connections.every(({ pathManager }) => pathManager === undefined)) {
    streams.err(`Which path manager owns them is not shown. ${CAPABILITY_REMEDY}\n`);
  }
}
