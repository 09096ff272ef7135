import { ask, NoDaemonError } from "../../control/index.ts";
import type { ConnectionExplanation } from "../../engine/index.ts";
import type { MptcpPm } from "../../netlink/index.ts";
import { type Connection, SubflowError, type Token } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, failure } from "../failure.ts";
import { type Json, renderJson } from "../json.ts";
import { type GlobalOptions, parseOptions } from "../options.ts";
import { withPathManager } from "../target.ts";
import { leftOutByKernel } from "../why-kernel.ts";
import { explanationText } from "../why-text.ts";
import { formatToken, tokenArgument } from "../words.ts";

/** `why`: for each possible subflow and announcement of a connection, whether it is there, and if not, why. */
export async function run(context: Context): Promise<number> {
  const { words } = parseOptions(context);
  const token = tokenArgument(words[0]);
  const { global, streams } = context;
  const explanation = (await askDaemon(token, global)) ?? withPathManager(global, (pm) => explainKernel(pm, token));
  if (global.json) streams.out(renderJson(explanation as unknown as Json, global.pretty));
  else streams.out(explanationText(explanation, streams.paint));
  return EXIT.success;
}

/** The daemon knows its own connections only, and nothing where the in-kernel path manager is in charge. */
async function askDaemon(token: Token, { netns }: GlobalOptions): Promise<ConnectionExplanation | undefined> {
  try {
    const [explanation] = (await ask("why", { tokens: [token] }, { netns })) as (ConnectionExplanation | null)[];
    return explanation ?? undefined;
  } catch (error) {
    if (error instanceof NoDaemonError || (error instanceof SubflowError && error.code === "DAEMON")) return undefined;
    throw error;
  }
}

function explainKernel(pm: MptcpPm, token: Token): ConnectionExplanation {
  const connection = pm.connection(token);
  if (!connection) throw failure(`Error: no connection has the token ${formatToken(token)}.`);
  if (connection.pathManager === "userspace") {
    throw failure("Error: a userspace path manager has this connection, and it is not Subflow: only it knows why.");
  }
  const side = { connection, endpoints: pm.endpoints(), limits: pm.limits() };
  return { connection: asSnapshot(connection), leftOut: leftOutByKernel(side) };
}

function asSnapshot(connection: Connection): ConnectionExplanation["connection"] {
  const { token, side, path, subflows } = connection;
  return {
    token,
    side: side ?? "client",
    initial: path,
    established: true,
    denyJoinId0: false,
    owned: false,
    policy: "in-kernel",
    subflows: subflows.map((subflow) => ({
      state: subflow.state === "established" ? "established" : "creating",
      path: subflow.path,
      localId: subflow.localId,
      remoteId: subflow.remoteId,
      join: subflow.join,
      initiated: subflow.initiated ?? false,
      backup: subflow.backupLocal,
      backupByPeer: subflow.backupRemote,
    })),
    remotes: [],
    announced: [],
    attempts: [],
    planRefused: "",
  };
}
