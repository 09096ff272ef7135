import type { Standing } from "../doctor/index.ts";
import type { ConnectionExplanation } from "../engine/index.ts";
import { type Connection, formatSocketAddress } from "../types/index.ts";
import { wrapped } from "./layout.ts";
import type { Streams } from "./streams.ts";
import { formatToken } from "./words.ts";

type Snapshot = ConnectionExplanation["connection"];

/** A connection, what holds for it as a whole, and what it could have and has not. */
export interface Explanation extends Omit<ConnectionExplanation, "connection"> {
  /** The side is unknown when the initial subflow is gone and nobody remembers. */
  readonly connection: Omit<Snapshot, "side"> & { readonly side: Snapshot["side"] | undefined };
  /** undefined: the kernel would not say. */
  readonly pathManager: Connection["pathManager"];
  readonly standing: readonly Standing[];
}

/** What is there, one line each, then what is not, each with its reason and what would change it. */
export function explanationText(explanation: Explanation, { paint, width }: Streams): string {
  const { connection, leftOut, standing, pathManager } = explanation;
  const { local, remote } = connection.initial;
  const lines: string[] = [];
  const say = (text: string, hang: number): void => void lines.push(...wrapped(text, width, hang));
  say(
    `${paint("bold", formatToken(connection.token))}  ${connection.side ?? "side unknown"}  policy ${connection.policy}  ` +
      `${connection.rule === "" ? "" : `rule ${connection.rule}  `}` +
      `${formatSocketAddress(local)} → ${formatSocketAddress(remote)}`,
    4,
  );
  if (pathManager === "kernel")
    say("  The in-kernel path manager has this connection; the reasons are read from what can be seen of it.", 2);
  for (const { seen, why, remedy } of standing) {
    say(`  ${paint("warning", `This connection ${seen}.`)} ${why}`, 2);
    say(`         ${remedy}`, 9);
  }
  if (connection.planRefused !== "") {
    const refused = paint("bad", "The policy's last plan was refused, and what there was stays:");
    say(`  ${refused} ${connection.planRefused}`, 2);
  }
  for (const text of present(connection)) say(`  ${paint("good", "yes")}  ${text}`, 7);
  for (const { what, id, address, remote, reason, remedy } of leftOut) {
    const missing = remote === undefined ? `${what} ${address} (id ${id})` : `subflow ${address} → ${remote}`;
    say(`  ${paint("warning", "no ")}  ${missing}: ${reason}`, 7);
    if (remedy !== "") say(`         ${remedy}`, 9);
  }
  if (leftOut.length === 0 && standing.length === 0 && connection.planRefused === "")
    say("  Nothing is left out: every endpoint and every address of the peer is in use.", 2);
  return lines.map((line) => `${line}\n`).join("");
}

function present({ subflows, announced }: Explanation["connection"]): string[] {
  return [
    ...subflows.map((subflow) => {
      const { path, state, held, objection } = subflow;
      const from = path.local.port === 0 ? path.local.address : formatSocketAddress(path.local);
      const standing = held ? "kept although it was to be closed: nothing else is left" : state;
      const line = `subflow ${from} → ${formatSocketAddress(path.remote)} (${roleOf(subflow)}${backupOf(subflow)}, ${standing})`;
      return objection === undefined ? line : `${line}: ${objection}`;
    }),
    ...announced.map(({ id, address, port }) => {
      const where = port === 0 ? address : formatSocketAddress({ address, port });
      return `announced ${where} as id ${id}`;
    }),
  ];
}

type Shown = Explanation["connection"]["subflows"][number];

function roleOf({ isProbe, join, initiated }: Shown): string {
  if (isProbe) return "asks whether the path is alive";
  if (!join) return "initial";
  return initiated ? "join" : "join of the peer";
}

function backupOf({ quarantined, backup, backupByPeer }: Shown): string {
  if (quarantined) return ", in quarantine as backup";
  return backup || backupByPeer ? ", backup" : "";
}
