import { formatSocketAddress, type WatchedConnection } from "../../types/index.ts";
import { happeningWords } from "../happening-words.ts";
import { clipped, columns, wrapped } from "../layout.ts";
import { formatBytes, formatMicros } from "../units.ts";
import { formatToken } from "../words.ts";
import {
  backupWords,
  connectionRow,
  elapsed,
  headings,
  layoutFor,
  type Paint,
  rateWords,
  subflowRow,
} from "./cells.ts";
import { listed, policyWords, subflowKey, troublesOf, type View, type World } from "./state.ts";

/** Room and colours. */
export interface Canvas {
  readonly width: number;
  readonly height: number;
  readonly paint: Paint;
}

/** Less room than this beside the figures shows nothing. */
const NOTE_MIN = 24;

const HELP = [
  "up, down, k, j    choose a connection",
  "PgUp, PgDn, g, G  move in pages, to the ends",
  "Enter   open it: subflows, timeline, why",
  "q, ^C   leave; on a page q goes back",
  "s  sort: rate, trouble, rtt, bytes, subflows, token;  r  the other way round",
  "f  filter: all, trouble, several subflows, one, client, server",
  "/  search in tokens, addresses, interfaces, policies;  Esc  everything again",
  "t  with or without subflows;  p  pause",
  "With --control, on a page: up, down choose a subflow, b makes it backup or",
  "normal, x closes it; both ask first.",
  "",
  "→ we connected, ← the peer did, ×n subflows.  Before a subflow: b backup,",
  "q in quarantine, k kept as the last one, ~ not established, ? a probe, ! losses.",
];

/** All lines of a picture, none longer than the canvas is wide, as many as it is high at most. */
export function picture(world: World, view: View, canvas: Canvas): string[] {
  const head = header(world, view, canvas);
  const room = Math.max(1, canvas.height - head.length - 1);
  const body = view.showsHelp
    ? HELP.flatMap((line) => wrapped(line, canvas.width, 2))
    : view.opened === undefined
      ? list(world, view, canvas, room)
      : page(world, view, canvas, room);
  const lines = [...head, ...body.slice(0, room)];
  while (lines.length < canvas.height - 1) lines.push("");
  return [...lines, footer(view, canvas)].slice(0, canvas.height).map((line) => clipped(line, canvas.width));
}

/** Lines that the list has for connections: how far a page is. */
export function pageLength(canvas: Canvas): number {
  return Math.max(1, canvas.height - 6);
}

function header(world: World, view: View, { width, paint }: Canvas): string[] {
  const all = [...world.connections.values()];
  const sum = (of: (each: WatchedConnection) => number): number => all.reduce((total, each) => total + of(each), 0);
  const counts = `${counted(all.length, "connection")}, ${counted(
    sum(({ subflows }) => subflows.length),
    "subflow",
  )}`;
  const rates = `sent ${formatBytes(sum((each) => each.sendRate))}/s, received ${formatBytes(sum((each) => each.receiveRate))}/s`;
  const order = `sort: ${view.sort}${view.isReversed ? " reversed" : ""}  filter: ${view.filter}`;
  const searched = view.isTyping || view.search !== "" ? `  search: ${view.search}${view.isTyping ? "_" : ""}` : "";
  const paused = view.isPaused ? paint("warning", "  PAUSED") : "";
  const first = `${paint("bold", "subflow top")}  ${world.who === "" ? "no daemon" : world.who}`;
  const both = `${first}  ${counts}`;
  return [
    ...(columns(both) <= width ? [both] : [clipped(first, width), clipped(counts, width)]),
    clipped(`${rates}  ${order}${searched}`, width - (view.isPaused ? 8 : 0)) + paused,
    ...world.missing.flatMap((text) => wrapped(text, width, 2)).map((line) => paint("warning", line)),
  ];
}

function footer({ said, asks, opened }: View, { width, paint }: Canvas): string {
  if (asks) {
    const { type, subflow } = asks;
    const deed = type === "close" ? "close" : type === "backup" ? "make backup:" : "make normal:";
    return paint(
      "warning",
      clipped(`${deed} ${formatSocketAddress(subflow.path.local)}? y does it, any other key not`, width),
    );
  }
  if (said !== "") return paint("warning", clipped(said, width));
  const keys = opened === undefined ? "Enter open  s sort  f filter  / search  ? help  q quit" : "Esc back  ? help";
  return paint("dim", clipped(keys, width));
}

/** Only what is shown is written, however many there are. */
function list(world: World, view: View, canvas: Canvas, room: number): string[] {
  const { width, paint } = canvas;
  const shown = listed(world, view);
  const layout = layoutFor(width);
  const lines = [paint("inverse", headings(layout))];
  if (shown.length === 0) return [...lines, nothing(world, view)];
  const selected = Math.max(
    0,
    shown.findIndex(({ token }) => token === view.selected),
  );
  const heights = (each: WatchedConnection): number => 2 + (view.showsSubflows ? each.subflows.length : 0);
  let first = selected;
  // As far up as the chosen one stays in sight.
  for (let left = room - 1 - heights(shown[selected]!); first > 0; first--) {
    left -= heights(shown[first - 1]!);
    if (left < 0) break;
  }
  for (let index = first; index < shown.length && lines.length < room; index++) {
    const connection = shown[index]!;
    const line = connectionRow(connection, world, layout, paint);
    lines.push(connection.token === view.selected ? paint("inverse", plain(line).padEnd(width)) : line);
    if (connection.token === view.selected && layout.note < NOTE_MIN)
      lines.push(paint("dim", lastLine(connection, world)));
    if (!view.showsSubflows) continue;
    const { subflows } = connection;
    for (const [at, subflow] of subflows.entries()) {
      lines.push(subflowRow(subflow, connection.token, { world, layout, paint, isLast: at === subflows.length - 1 }));
    }
  }
  return lines;
}

/** Where there is no column for it: policy and last event of the chosen connection. */
function lastLine(connection: WatchedConnection, world: World): string {
  const last = world.timeline(connection.token).at(-1);
  const words = policyWords(connection);
  const planned = words === "" || connection.policy === undefined ? words : `policy ${words}`;
  const happened = last
    ? `${elapsed(world.now - last.at)} ago: ${happeningWords(last.happening, world.interfaceOf)}`
    : "";
  return `│ ${[planned, happened].filter((text) => text !== "").join("  ")}`;
}

function nothing({ connections }: World, { search, filter }: View): string {
  if (connections.size === 0) return "There are no MPTCP connections.";
  return `None of ${connections.size} connections is ${filter === "all" ? "found" : `of filter "${filter}"`}${search === "" ? "" : ` with "${search}"`}.`;
}

/** One connection: its subflows, what happened to it, and why it has no others. */
function page(world: World, view: View, canvas: Canvas, room: number): string[] {
  const { width, paint } = canvas;
  const connection = world.connections.get(view.opened!);
  if (!connection) return [`Connection ${formatToken(view.opened!)} is over.`, ...timeline(world, view, canvas)];
  const { token, side, initial, pathManager, uid, bytesSent, bytesReceived } = connection;
  const facts = [
    paint("bold", formatToken(token)),
    side ?? "side unknown",
    pathManager === undefined ? "" : `${pathManager} path manager`,
    connection.policy === undefined ? "" : `policy ${policyWords(connection)}`,
    uid === undefined ? "" : `user ${uid}`,
    connection.fallback ? paint("warning", "fallen back to TCP") : "",
  ];
  const lines = [
    ...wrapped(facts.filter((fact) => fact !== "").join("  "), width, 2),
    ...wrapped(
      `${formatSocketAddress(initial.local)} → ${formatSocketAddress(initial.remote)}  sent ${formatBytes(bytesSent)}  received ${formatBytes(bytesReceived)}`,
      width,
      2,
    ),
    paint("dim", "subflows"),
  ];
  for (const index of connection.subflows.keys()) {
    const isMeant = index === Math.min(view.subflow, connection.subflows.length - 1);
    const [first = "", ...more] = subflowLines(connection, index, world, canvas);
    lines.push(isMeant ? paint("inverse", first) : first, ...more);
  }
  lines.push(paint("dim", "why no others"), ...whyLines(world, view, canvas), ...timeline(world, view, canvas));
  const scroll = Math.min(view.scroll, Math.max(0, lines.length - room));
  return lines.slice(scroll);
}

function subflowLines(
  { token, subflows }: WatchedConnection,
  index: number,
  world: World,
  { width, paint }: Canvas,
): string[] {
  const subflow = subflows[index]!;
  const { path, state, localId, remoteId, rtt, rttVar, lost, unacked, retransmits, bytesSent, bytesReceived } = subflow;
  const { sendRate, receiveRate } = subflow;
  const graph = world.sparkline(subflowKey(token, subflow), Math.min(30, Math.max(5, width - 50)));
  const troubles = troublesOf(subflow);
  const first = `${world.interfaceOf(path.local, subflow.interfaceIndex) ?? "no interface"}  ${formatSocketAddress(path.local)} → ${formatSocketAddress(path.remote)}  id ${localId}→${remoteId}`;
  const figures = [
    subflow.join ? (subflow.initiated ? "join" : "join of the peer") : "initial",
    state,
    backupWords(subflow),
    `rtt ${formatMicros(rtt * 1000)} ±${formatMicros(rttVar * 1000)}`,
    `sent ${formatBytes(bytesSent)}`,
    `received ${formatBytes(bytesReceived)}`,
    `${retransmits} sent again, ${lost} lost, ${unacked} on their way`,
  ];
  const rates = `sending ${rateWords(sendRate) || "0"}/s receiving ${rateWords(receiveRate) || "0"}/s`;
  return [
    clipped(`  ${first}`, width),
    ...wrapped(`    ${figures.filter((figure) => figure !== "").join("  ")}`, width, 4),
    `    ${clipped(rates, 44).padEnd(44)} ${graph}`,
    ...(troubles.length > 0 ? [paint("warning", `    ${troubles.join(", ")}`)] : []),
  ];
}

function whyLines({ why }: World, { opened }: View, { width }: Canvas): string[] {
  const explained = why(opened!);
  if (explained === undefined) return ["  ..."];
  if (typeof explained === "string") return wrapped(`  ${explained}`, width, 2);
  if (explained.length === 0)
    return wrapped("  Nothing is left out: every endpoint and every address of the peer is in use.", width, 2);
  return explained.flatMap(({ what, reason }) => wrapped(`  no ${what}: ${reason}`, width, 4));
}

function timeline(world: World, { opened }: View, { width, paint }: Canvas): string[] {
  const events = world.timeline(opened!);
  const lines = events.toReversed().flatMap(({ happening, at }) => {
    const line = `  ${elapsed(world.now - at).padStart(7)} ago  ${happeningWords(happening, world.interfaceOf)}`;
    return wrapped(line, width, 15).map((part) => (happening.kind === "decision" ? paint("good", part) : part));
  });
  return [
    paint("dim", `timeline${events.length === 0 ? ": nothing since this began" : ", the newest first"}`),
    ...lines,
  ];
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is how escape sequences begin
const ESCAPES = /\u001b\[[0-9;]*m/g;

function plain(text: string): string {
  return text.replace(ESCAPES, "");
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
