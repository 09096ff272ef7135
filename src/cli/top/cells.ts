import { formatSocketAddress, type Path, type WatchedConnection, type WatchedSubflow } from "../../types/index.ts";
import { clipped, columns } from "../layout.ts";
import type { Streams } from "../streams.ts";
import { formatBytes, formatMicros } from "../units.ts";
import { formatToken } from "../words.ts";
import { policyWords, subflowKey, troubleOf, troublesOf, type World } from "./state.ts";

export type Paint = Streams["paint"];

/** Columns of the table beside the name, in the order in which they are given up where it is narrow: last first. */
export interface Layout {
  readonly width: number;
  readonly name: number;
  readonly graph: number;
  readonly hasRtt: boolean;
  readonly hasRetransmits: boolean;
  readonly note: number;
}

const RATE = 9;
const RTT = 8;
const RETRANSMITS = 5;
const NAME = { narrow: 20, usual: 34, wide: 52 } as const;

/** What fits into so many columns. */
export function layoutFor(width: number): Layout {
  const hasRtt = width >= 52;
  const hasRetransmits = width >= 60;
  const graph = width >= 76 ? 10 : width >= 66 ? 5 : 0;
  const others =
    2 * (RATE + 1) + (hasRtt ? RTT + 1 : 0) + (hasRetransmits ? RETRANSMITS + 1 : 0) + (graph ? graph + 1 : 0);
  const left = width - others;
  const name =
    left < NAME.usual + 14 ? Math.max(NAME.narrow, left) : Math.min(NAME.wide, Math.max(NAME.usual, left - 28));
  return { width, name, graph, hasRtt, hasRetransmits, note: Math.max(0, left - name - 1) };
}

interface Cells {
  readonly name: string;
  readonly up: string;
  readonly down: string;
  readonly graph: string;
  readonly rtt: string;
  readonly retransmits: string;
  readonly note: string;
}

/** A row, clipped to the layout. */
function row(layout: Layout, cells: Cells): string {
  const { name, graph, hasRtt, hasRetransmits, note, width } = layout;
  const parts = [fitted(cells.name, name), cells.up.padStart(RATE), cells.down.padStart(RATE)];
  if (graph > 0) parts.push(fitted(cells.graph, graph));
  if (hasRtt) parts.push(cells.rtt.padStart(RTT));
  if (hasRetransmits) parts.push(cells.retransmits.padStart(RETRANSMITS));
  if (note > 0) parts.push(clipped(cells.note, note));
  return clipped(parts.join(" "), width);
}

/** The line above all. */
export function headings(layout: Layout): string {
  const words = { up: "SENT/s", down: "RECVD/s", graph: "RATE", rtt: "RTT", retransmits: "RETR", note: "" };
  return row(layout, { ...words, name: "CONNECTION, SUBFLOWS" }).padEnd(layout.width);
}

/** A line for a connection. */
export function connectionRow(connection: WatchedConnection, world: World, layout: Layout, paint: Paint): string {
  const { token, side, initial, subflows, fallback } = connection;
  const count = subflows.length;
  const who = side === "client" ? "→" : side === "server" ? "←" : "-";
  const name = `${formatToken(token)} ${who} ${formatSocketAddress(initial.remote)} ×${count}`;
  const last = world.timeline(token).at(-1);
  const notes = [
    policyWords(connection),
    fallback ? "fallen back to TCP" : "",
    last ? `${elapsed(world.now - last.at)} ${shortOf(last.happening.type)}` : "",
  ];
  const colour = troubleOf(connection) > 0 ? "warning" : "bold";
  return row(layout, {
    name: paint(colour, clipped(name, layout.name)),
    ...rateCells(connection),
    graph: world.sparkline(`${token}`, layout.graph),
    rtt: "",
    retransmits: "",
    note: notes.filter((note) => note !== "").join("  "),
  });
}

/** A line for one of its subflows. */
export function subflowRow(
  subflow: WatchedSubflow,
  token: number,
  { world, layout, paint, isLast }: SubflowLine,
): string {
  const { path, rtt, retransmits } = subflow;
  const where = world.interfaceOf(path.local, subflow.interfaceIndex) ?? "?";
  const marks = marksOf(subflow);
  const name = `${isLast ? "└" : "├"} ${marks === "" ? "" : `${marks} `}${where} ${pathWords(path)}`;
  const troubles = troublesOf(subflow);
  const colour = troubles.length > 0 ? "warning" : subflow.backup || subflow.backupByPeer ? "dim" : undefined;
  const shown = clipped(name, layout.name);
  return row(layout, {
    name: colour ? paint(colour, shown) : shown,
    ...rateCells(subflow),
    graph: world.sparkline(subflowKey(token, subflow), layout.graph),
    rtt: formatMicros(rtt * 1000),
    retransmits: retransmits > 0 ? `${retransmits}` : "",
    note: troubles.join(", ") || backupWords(subflow),
  });
}

export interface SubflowLine {
  readonly world: World;
  readonly layout: Layout;
  readonly paint: Paint;
  readonly isLast: boolean;
}

/** b backup, q quarantined, k kept, ~ not established, ? a probe, ! something is wrong. */
function marksOf({ backup, backupByPeer, quarantined, held, state, isProbe, lost }: WatchedSubflow): string {
  return [
    quarantined ? "q" : backup || backupByPeer ? "b" : "",
    held ? "k" : "",
    state === "established" ? "" : "~",
    isProbe ? "?" : "",
    lost > 0 ? "!" : "",
  ].join("");
}

/** Who asked for it to be backup. */
export function backupWords({ backup, backupByPeer }: WatchedSubflow): string {
  if (backup && backupByPeer) return "backup";
  return backup ? "backup (ours)" : backupByPeer ? "backup (peer's)" : "";
}

function rateCells({ sendRate, receiveRate }: Pick<WatchedSubflow, "sendRate" | "receiveRate">) {
  return { up: rateWords(sendRate), down: rateWords(receiveRate) };
}

/** Bytes a second; nothing where nothing moves, so that the eye finds what does. */
export function rateWords(rate: number): string {
  return rate === 0 ? "" : `${formatBytes(rate).replace(" ", "")}`;
}

function pathWords({ local, remote }: Path): string {
  return `${local.address} → ${remote.address}`;
}

/** "3 s", "5 min", "2 h". */
export function elapsed(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 99.5) return `${seconds < 9.95 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return seconds < 5940 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function shortOf(type: string): string {
  return type.replace("subflow.setBackup", "backup").replace(".", " ");
}

/** Filled or cut to so many columns. */
function fitted(text: string, width: number): string {
  const cut = clipped(text, width);
  return cut + " ".repeat(Math.max(0, width - columns(cut)));
}
