import type { ConnectionExplanation } from "../engine/index.ts";
import { type Connection, carriedBy, formatSocketAddress, type SubflowInfo, type Token } from "../types/index.ts";
import { type Json, machine } from "./json.ts";
import { columns, wrapped } from "./layout.ts";
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
  { subflowInterface, streams, reasons }: { subflowInterface: SubflowInterface; streams: Layout; reasons: Reasons },
): string {
  const { paint, width } = streams;
  const lines: string[] = [];
  for (const connection of connections) {
    const explanation = reasons.get(connection.token);
    lines.push(...wrapped(connectionLine(connection, explanation, paint), width, 4));
    const subflows = connection.subflows.toSorted(initialFirst);
    const rows = subflows.map((subflow) => subflowCells(subflow, subflowInterface(subflow)));
    lines.push(...rowLines(rows, streams));
    for (const { what, address, remote, reason } of explanation?.leftOut ?? []) {
      const missing = remote === undefined ? `${what} ${address}` : `subflow ${address} → ${remote}`;
      lines.push(...wrapped(`   no ${missing}: ${reason}`, width, 6).map((line) => paint("dim", line)));
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

type Layout = Pick<Streams, "paint" | "width">;

/** The subflows of a connection: aligned where every line fits, otherwise each broken between its cells. */
function rowLines(rows: readonly (readonly string[])[], { paint, width }: Layout): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]!.length))) ?? [];
  const isWide = 3 + widths.reduce((sum, cell) => sum + cell + 2, -2) > width;
  return rows.flatMap((row, index) => {
    const isLast = index === rows.length - 1;
    const branch = isLast ? "└─" : "├─";
    const painted = row.map((cell, column) =>
      paintCell(isWide ? cell : cell.padEnd(widths[column]!), column, row, paint),
    );
    if (!isWide) return [`${branch} ${painted.join("  ")}`.trimEnd()];
    const lines = cellLines(painted, width - 5);
    return lines.map((line, at) => (at === 0 ? `${branch} ${line}` : `${isLast ? " " : "│"}    ${line}`));
  });
}

/** As many cells a line as fit. */
function cellLines(cells: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const cell of cells) {
    const last = lines.at(-1);
    if (last !== undefined && columns(last) + 2 + columns(cell) <= width) lines[lines.length - 1] = `${last}  ${cell}`;
    else lines.push(cell);
  }
  return lines.flatMap((line) => wrapped(line, width, 2));
}

/** The value of `-j connections`: {@link Connection} with interfaces by name, and the daemon's policy and reasons. */
export function connectionsJson(
  connections: readonly Connection[],
  subflowInterface: SubflowInterface,
  reasons: Reasons,
): Json {
  return machine(
    connections.map((connection) => ({
      ...connection,
      side: connection.side ?? reasons.get(connection.token)?.connection.side,
      policy: reasons.get(connection.token)?.connection.policy,
      rule: reasons.get(connection.token)?.connection.rule,
      leftOut: reasons.get(connection.token)?.leftOut,
      subflows: connection.subflows.map((subflow) => ({ ...subflow, interface: subflowInterface(subflow) })),
    })),
  );
}

function connectionLine(
  connection: Connection,
  explanation: ConnectionExplanation | undefined,
  paint: Streams["paint"],
): string {
  const { path, subflows, retransmits = 0 } = connection;
  const carried = carriedBy(connection);
  const least = carried.exact ? "" : "at least ";
  const words = [
    paint("bold", formatToken(connection.token)),
    // The kernel's sockets tell it only while the first subflow is there.
    connection.side ?? explanation?.connection.side ?? "side unknown",
    connection.pathManager === undefined ? undefined : `${connection.pathManager} path manager`,
    explanation && `policy ${explanation.connection.policy}`,
    explanation && explanation.connection.rule !== "" ? `rule ${explanation.connection.rule}` : undefined,
    connection.state,
    `${formatSocketAddress(path.local)} → ${formatSocketAddress(path.remote)}`,
    connection.fallback ? paint("warning", "fallen back to TCP") : undefined,
    connection.checksum ? "checksums" : undefined,
    `${subflows.length} subflow${subflows.length === 1 ? "" : "s"}`,
    `sent ${least}${formatBytes(carried.sent)}`,
    `received ${least}${formatBytes(carried.received)}`,
    retransmits > 0 ? paint("warning", `${retransmits} retransmit${retransmits === 1 ? "" : "s"}`) : undefined,
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
    `${subflow.retransmits} retransmit${subflow.retransmits === 1 ? "" : "s"}`,
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
