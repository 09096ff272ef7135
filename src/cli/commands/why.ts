import { ask, NoDaemonError } from "../../control/index.ts";
import { standingOf } from "../../doctor/index.ts";
import type { ConnectionExplanation } from "../../engine/index.ts";
import type { MptcpPm } from "../../netlink/index.ts";
import { type Connection, SubflowError, type Token } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, failure } from "../failure.ts";
import type { GlobalOptions } from "../global-options.ts";
import { machine, renderJson } from "../json.ts";
import { parseOptions } from "../options.ts";
import { withPathManager } from "../target.ts";
import { leftOutByKernel } from "../why-kernel.ts";
import { type Explanation, explanationText } from "../why-text.ts";
import { formatToken, tokenArgument } from "../words.ts";

/** `why`: for each possible subflow and announcement of a connection, whether it is there, and if not, why. */
export async function run(context: Context): Promise<number> {
  const { words } = parseOptions(context);
  const { global, streams } = context;
  const token = words[0] === undefined ? onlyToken(global) : tokenArgument(words[0]);
  const daemon = await askDaemon(token, global);
  const explanation = withPathManager(global, (pm) => explain(pm, token, daemon));
  if (global.json) streams.out(renderJson(machine(explanation), global.pretty));
  else streams.out(explanationText(explanation, streams));
  return EXIT.success;
}

/** Whoever has one connection need not look up its name. */
function onlyToken(global: GlobalOptions): Token {
  const all = withPathManager(global, (pm) => pm.connections());
  // Those that are being closed are nobody's concern where there is another.
  const open = all.filter(({ state }) => state === "established");
  const tokens = (open.length > 0 ? open : all).map(({ token }) => token);
  const [only] = tokens;
  if (only !== undefined && tokens.length === 1) return only;
  if (tokens.length === 0) throw failure("Error: there is no MPTCP connection.");
  throw failure(
    `Error: there are ${tokens.length} connections: say which, \`subflow connections\` lists their tokens.`,
  );
}

interface DaemonSide {
  readonly pathManager: "kernel" | "userspace" | undefined;
  readonly explanation: ConnectionExplanation | undefined;
}

/** The daemon knows its own connections only, and gives no reasons where the in-kernel path manager is in charge. */
async function askDaemon(token: Token, { netns }: GlobalOptions): Promise<DaemonSide> {
  try {
    const { pathManager } = await ask("hello", {}, { netns });
    if (pathManager === "kernel") return { pathManager, explanation: undefined };
    const [explanation] = (await ask("why", { tokens: [token] }, { netns })) as (ConnectionExplanation | null)[];
    return { pathManager, explanation: explanation ?? undefined };
  } catch (error) {
    if (error instanceof NoDaemonError || (error instanceof SubflowError && error.code === "DAEMON"))
      return { pathManager: undefined, explanation: undefined };
    throw error;
  }
}

/** What the kernel shows of the connection now goes before what the daemon heard of it. */
function explain(pm: MptcpPm, token: Token, { pathManager, explanation }: DaemonSide): Explanation {
  const connection = pm.connection(token);
  if (!connection) throw failure(`Error: no connection has the token ${formatToken(token)}.`);
  const standing = standingOf(connection, { daemon: pathManager, isManaged: explanation !== undefined });
  const known = { pathManager: connection.pathManager, standing };
  if (explanation) return { ...known, ...explanation };
  const shown = { ...known, connection: asSnapshot(connection) };
  if (connection.pathManager === "userspace" || connection.fallback) return { ...shown, leftOut: [] };
  return { ...shown, leftOut: leftOutByKernel({ connection, endpoints: pm.endpoints(), limits: pm.limits() }) };
}

function asSnapshot(connection: Connection): Explanation["connection"] {
  const { token, side, path, subflows } = connection;
  return {
    token,
    side,
    initial: path,
    established: connection.state === "established",
    denyJoinId0: false,
    owned: false,
    policy: connection.pathManager === "userspace" ? "none" : "in-kernel",
    rule: "",
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
