import type { ConnectionExplanation } from "../engine/index.ts";
import { type Connection, formatSocketAddress, type SubflowInfo, type Token } from "../types/index.ts";
import type { Json } from "./json.ts";
import type { Streams } from "./streams.ts";
import { formatBytes, formatMicros } from "./units.ts";
import { formatToken } from "./words.ts";

/** How the interface of a subflow is named; undefined when its local address is nowhere any more. */
export type SubflowInterface = (subflow: SubflowInfo) => string | undefined;

/** What the daemon says of its connections, by token. */
export type Reasons = ReadonlyMap<Token, ConnectionExplanation>;

/** A tree: a line a connection, below it a line a subflow, columns aligned within the connection, then what is left out. */
export function connectionTree(
  connections: readonly Connection[],
  {
    subflowInterface,
    paint,
    reasons,
  }: { subflowInterface: SubflowInterface; paint: Streams["paint"]; reasons: Reasons },
): string {
  const lines: string[] = [];
  for (const connection of connections) {
    const explanation = reasons.get(connection.token);
    lines.push(connectionLine(connection, explanation, paint));
    const subflows = connection.subflows.toSorted(initialFirst);
    const rows = subflows.map((subflow) => subflowCells(subflow, subflowInterface(subflow)));
    const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]!.length))) ?? [];
    for (const [index, row] of rows.entries()) {
      const branch = index === rows.length - 1 ? "└─" : "├─";
      const cells = row.map((cell, column) => paintCell(cell.padEnd(widths[column]!), column, row, paint));
      lines.push(`${branch} ${cells.join("  ")}`.trimEnd());
    }
    for (const { what, address, reason } of explanation?.leftOut ?? []) {
      lines.push(paint("dim", `   no ${what} ${address}: ${reason}`));
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** The value of `-j connections`: {@link Connection} with the token as text and interfaces by name. */
export function connectionsJson(
  connections: readonly Connection[],
  subflowInterface: SubflowInterface,
  reasons: Reasons,
): Json {
  return connections.map((connection) => ({
    ...connection,
    policy: reasons.get(connection.token)?.connection.policy,
    leftOut: reasons.get(connection.token)?.leftOut,
    token: `0x${connection.token.toString(16)}`,
    subflows: connection.subflows.map((subflow) => ({ ...subflow, interface: subflowInterface(subflow) })),
  })) as unknown as Json;
}

function connectionLine(
  connection: Connection,
  explanation: ConnectionExplanation | undefined,
  paint: Streams["paint"],
): string {
  const { path, subflows } = connection;
  const words = [
    paint("bold", formatToken(connection.token)),
    connection.side ?? "side unknown",
    connection.pathManager === undefined ? undefined : `${connection.pathManager} path manager`,
    explanation && `policy ${explanation.connection.policy}`,
    connection.state,
    `${formatSocketAddress(path.local)} → ${formatSocketAddress(path.remote)}`,
    connection.fallback ? paint("warning", "fallen back to TCP") : undefined,
    connection.checksum ? "checksums" : undefined,
    `${subflows.length} subflow${subflows.length === 1 ? "" : "s"}`,
    `sent ${formatBytes(connection.bytesSent)}`,
    `received ${formatBytes(connection.bytesReceived)}`,
    connection.retransmits > 0 ? paint("warning", `${connection.retransmits} retransmits`) : undefined,
  ];
  return words.filter((word) => word !== undefined).join("  ");
}

function initialFirst(a: SubflowInfo, b: SubflowInfo): number {
  return Number(a.join) - Number(b.join) || a.localId - b.localId || a.path.local.port - b.path.local.port;
}

const COLUMN = { interface: 1, role: 3, state: 4, retransmits: 8 } as const;

function subflowCells(subflow: SubflowInfo, interfaceName: string | undefined): string[] {
  const { path } = subflow;
  return [
    `${formatSocketAddress(path.local)} → ${formatSocketAddress(path.remote)}`,
    interfaceName ?? "no interface",
    `id ${subflow.localId}→${subflow.remoteId}`,
    roleOf(subflow),
    subflow.state,
    `rtt ${formatMicros(subflow.rtt)}`,
    `sent ${formatBytes(subflow.bytesSent)}`,
    `received ${formatBytes(subflow.bytesReceived)}`,
    `${subflow.retransmits} retransmits`,
  ];
}

/** Backup goes each way for itself: what we asked of the peer, and what the peer asked of us. */
function roleOf(subflow: SubflowInfo): string {
  if (subflow.backupLocal && subflow.backupRemote) return "backup";
  if (subflow.backupLocal) return "backup (ours)";
  if (subflow.backupRemote) return "backup (peer's)";
  return subflow.join ? "join" : "initial";
}

function paintCell(text: string, column: number, row: readonly string[], paint: Streams["paint"]): string {
  if (column === COLUMN.interface) return paint(row[column] === "no interface" ? "bad" : "interface", text);
  if (column === COLUMN.role && text.startsWith("backup")) return paint("dim", text);
  if (column === COLUMN.state) return paint(row[column] === "established" ? "good" : "warning", text);
  if (column === COLUMN.retransmits && row[column] !== "0 retransmits") return paint("warning", text);
  return text;
}
