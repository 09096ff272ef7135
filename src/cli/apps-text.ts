import type { Apps, FallbackReason, Process, Use } from "../programs/index.ts";
import { machine } from "./json.ts";
import { columns, wrapped } from "./layout.ts";
import type { Streams } from "./streams.ts";

const BECAUSE: Readonly<Record<FallbackReason, string>> = {
  "refused-by-peer": "the peer, or something on the way, answered without MPTCP",
  broken: "something on the way broke MPTCP later: `subflow doctor --path` looks for it",
  "not-tried":
    "the kernel did not try: it takes the network for one that drops MPTCP (`subflow status`), or TCP-MD5 is in use",
  "not-asked": "the peer did not ask for MPTCP",
};

type App = Process & Use;

const total = (use: Use): number => use.fellBack.reduce((sum, { count }) => sum + count, 0);
/** Anything beyond the loopback. */
export const hasUse = (use: Use): boolean =>
  use.mptcp + use.tcp + total(use) + use.listens.mptcp.length + use.listens.tcp.length > 0;
const isPlain = ({ tcp, listens }: Use): boolean => tcp > 0 || listens.tcp.length > 0;

/** What makes a program with plain TCP use MPTCP; undefined: it has none, or nothing does. */
export function remedyOf(app: App): string | undefined {
  if (!isPlain(app) || app.obstacle !== undefined) return undefined;
  if (app.unit !== undefined) return `sudo subflow enable ${app.unit}`;
  return `subflow exec ${app.name} ...`;
}

/** Lines that explain a row of the table. */
function explanations(use: Use, app?: App): string[] {
  const lines = use.fellBack.map(({ reason, count }) => `${count} fell back: ${BECAUSE[reason]}`);
  if (!app || !isPlain(app)) return lines;
  const remedy = remedyOf(app);
  if (remedy !== undefined) lines.push(`plain TCP could be MPTCP, when it is started anew: ${remedy}`);
  else if (app.obstacle !== undefined) lines.push(`plain TCP: ${app.obstacle}`);
  return lines;
}

function listensText({ listens: { mptcp, tcp } }: Use): string {
  const part = (name: string, ports: readonly number[]): string[] =>
    ports.length > 0 ? [`${name} ${ports.join(" ")}`] : [];
  return [...part("mptcp", mptcp), ...part("tcp", tcp)].join(", ");
}

const HEAD = ["PID", "USER", "PROGRAM", "MPTCP", "FELL BACK", "TCP", "LISTENS ON"] as const;
const NUMBERS: ReadonlySet<string> = new Set(["PID", "MPTCP", "FELL BACK", "TCP"]);

/** The table that a person reads. */
export function appsText(
  { apps, others }: Pick<Apps, "apps" | "others">,
  {
    userName,
    streams,
  }: { readonly userName: (uid: number) => string; readonly streams: Pick<Streams, "width" | "paint"> },
): string {
  const rowOf = (pid: string, name: string, uid: number, use: Use): string[] => [
    ...[pid, userName(uid), name, `${use.mptcp}`, `${total(use)}`, `${use.tcp}`, listensText(use)],
  ];
  const rows = [
    ...apps.map((app) => ({ cells: rowOf(`${app.pid}`, app.name, app.uid, app), more: explanations(app, app) })),
    ...others.map((use) => ({ cells: rowOf("", "(not seen)", use.uid, use), more: explanations(use) })),
  ];
  const widths = HEAD.map((head, index) => Math.max(head.length, ...rows.map(({ cells }) => columns(cells[index]!))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => (NUMBERS.has(HEAD[index]!) ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!)))
      .join("  ")
      .trimEnd();
  const indent = " ".repeat(4);
  const body = rows.flatMap(({ cells, more }) => [
    ...wrapped(line(cells), streams.width, indent.length),
    ...more
      .flatMap((text) => wrapped(indent + text, streams.width, indent.length))
      .map((text) => streams.paint("dim", text)),
  ]);
  return `${[streams.paint("bold", wrapped(line(HEAD), streams.width, indent.length).join("\n")), ...body].join("\n")}\n`;
}

/** What programs read. */
export function appsJson({ apps, others, hidden }: Apps): ReturnType<typeof machine> {
  const theirs = apps.map(({ sockets: _own, ...app }) => ({ ...app, remedy: remedyOf({ ...app, sockets: _own }) }));
  return machine({ apps: theirs, others, hidden });
}
