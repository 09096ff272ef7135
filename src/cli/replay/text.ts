import type { ConnectionExplanation } from "../../engine/index.ts";
import { amountText, flagWords, type HostPlan } from "../../host/index.ts";
import type { Millis } from "../../types/index.ts";
import { wrapped } from "../layout.ts";
import type { Streams } from "../streams.ts";
import { explanationText } from "../why-text.ts";
import { formatToken } from "../words.ts";
import type { Compared, DifferenceShown, LifeShown } from "./compared.ts";
import type { Row, SideBySide } from "./side-by-side.ts";
import type { Told } from "./story.ts";

/** Differences that are printed; -j has more. */
const DIFFERENCES_MAX = 20;
/** Lives of daemons that are printed. */
const LIVES_MAX = 20;
/** Two columns need so much. */
const COLUMNS_MIN = 110;
const COLUMN = 62;

type Look = Pick<Streams, "paint" | "width">;

/** "12.345 s" from the beginning of a recording. */
export function seconds(time: Millis): string {
  return `${(time / 1000).toFixed(3)} s`;
}

/** "2026-11-27 22:40:01.123", of the day here. */
export function clock(time: Millis): string {
  const date = new Date(time);
  const two = (value: number, digits = 2): string => String(value).padStart(digits, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${two(date.getMilliseconds(), 3)}`;
}

/** What a recording is, and whether this version would do the same. */
export function comparedText(file: string, size: number, compared: Compared, look: Look): string {
  const { lives, player, differences } = compared;
  const { events, facts, actions, hostActions, unsure } = player.played;
  const began = lives[0]?.from ?? 0;
  const lines = [
    look.paint("bold", `${file}: ${amountText(size)}, ${events} events of connections, ${facts} facts of the host`),
    ...lives.slice(0, LIVES_MAX).map((life) => lifeLine(life)),
    ...(lives.length > LIVES_MAX ? [`  ... and ${lives.length - LIVES_MAX} more lives of daemons`] : []),
  ];
  const sure = player.played.differences - unsure;
  if (sure === 0) {
    const all = `${actions} actions for connections and ${hostActions} for the host`;
    lines.push(look.paint("good", `The same: this version plans all ${all} as they were done.`));
  } else lines.push(look.paint("bad", `Different: ${sure} times this version plans otherwise than was done.`));
  if (unsure > 0)
    lines.push(
      `${unsure} more differences are of what was there before the recording began, of which the daemon remembered more than it tells.`,
    );
  for (const difference of differences.filter(({ isUnsure }) => !isUnsure).slice(0, DIFFERENCES_MAX))
    lines.push(...differenceLines(difference, began));
  if (sure > DIFFERENCES_MAX) lines.push(`... and ${sure - DIFFERENCES_MAX} more`);
  return lines
    .flatMap((line) => wrapped(line, look.width, 2))
    .map((line) => `${line}\n`)
    .join("");
}

function lifeLine({ version, kernel, pathManager, isWhole, isMasked, from, to }: LifeShown): string {
  const rest = isWhole ? "from its start" : "from the middle of its life";
  return `  ${clock(from)}  ${seconds(to - from)} of a daemon, ${rest}: Subflow ${version}, Linux ${kernel}, path manager ${pathManager}${isMasked ? ", addresses masked" : ""}`;
}

function differenceLines({ time, cause, done, planned }: DifferenceShown, began: Millis): string[] {
  return [
    `  at ${seconds(time - began)}, told of ${cause}:`,
    ...(done.length === 0 ? ["    done:    nothing"] : done.map((action) => `    done:    ${action}`)),
    ...(planned.length === 0 ? ["    planned: nothing"] : planned.map((action) => `    planned: ${action}`)),
  ];
}

/** What happened, a line each. */
export function storyText(story: readonly Told[], untold: number, began: Millis, { paint, width }: Look): string {
  const lines = story.flatMap(({ time, token, kind, words }) => {
    const name = token === undefined ? "host" : formatToken(token);
    const head = `${seconds(time - began).padStart(12)}  ${name.padEnd(8)}  `;
    const painted = wrapped(`${head}${words}`, width, head.length);
    return kind === "event" ? painted : painted.map((line) => paint("good", line));
  });
  if (untold > 0) lines.push(`... and ${untold} more`);
  return lines.map((line) => `${line}\n`).join("");
}

/** Then and now, beside each other, or where that is too narrow as a diff. */
export function sideBySideText({ rows, more, counts }: SideBySide, began: Millis, look: Look): string {
  const { paint, width } = look;
  const isWide = width >= COLUMNS_MIN;
  const column = Math.min(COLUMN, Math.floor((width - 28) / 2));
  const head = isWide
    ? [paint("bold", `${"".padStart(12)}  ${"".padEnd(8)}  ${"then".padEnd(column)}  now`)]
    : [paint("bold", "- then only, + now only, = both")];
  const body = rows.flatMap((row) => (isWide ? wideRow(row, began, column, paint) : narrowRow(row, began, look)));
  const total = Object.entries(counts).map(
    ([type, { done, planned }]) => `  ${type.padEnd(20)} ${String(done).padStart(6)} ${String(planned).padStart(6)}`,
  );
  const lines = [
    ...head,
    ...body,
    ...(more > 0 ? [`... and ${more} more`] : []),
    ...(rows.length === 0 ? ["  nothing is done, neither then nor now"] : []),
    "",
    paint("bold", `  ${"".padEnd(20)} ${"then".padStart(6)} ${"now".padStart(6)}`),
    ...total,
    ...wrapped(ESTIMATED, width, 0),
  ];
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

/** What the right side is worth. */
export const ESTIMATED =
  "What applications, peers and the network did is as it was recorded; what became of subflows that were not opened then is estimated.";

function wideRow({ time, token, done, planned }: Row, began: Millis, column: number, paint: Look["paint"]): string[] {
  const name = token === undefined ? "host" : formatToken(token);
  const left = wrapped(done ?? "", column, 2);
  const right = wrapped(planned ?? "", column, 2);
  return Array.from({ length: Math.max(left.length, right.length) }, (_, index) => {
    const head = index === 0 ? `${seconds(time - began).padStart(12)}  ${name.padEnd(8)}  ` : " ".repeat(24);
    const line = `${head}${(left[index] ?? "").padEnd(column)}  ${right[index] ?? ""}`;
    return done && planned ? line : paint(done ? "warning" : "good", line);
  });
}

function narrowRow({ time, token, done, planned }: Row, began: Millis, { paint, width }: Look): string[] {
  const mark = done && planned ? "=" : done ? "-" : "+";
  const name = token === undefined ? "host" : formatToken(token);
  const lines = wrapped(
    `${mark} ${seconds(time - began).padStart(11)}  ${name.padEnd(8)}  ${done ?? planned}`,
    width,
    6,
  );
  return mark === "=" ? lines : lines.map((line) => paint(mark === "-" ? "warning" : "good", line));
}

/** What there was at a moment, and why not more. */
export function momentText(
  plan: HostPlan | undefined,
  connections: readonly ConnectionExplanation[],
  more: number,
  streams: Streams,
): string {
  const endpoints = (plan?.endpoints ?? []).map(
    ({ address, flags, because }) => `  ${address} ${flagWords(flags)}: ${because}\n`,
  );
  const leftOut = (plan?.leftOut ?? []).map(({ what, reason }) => `  no endpoint: ${what}: ${reason}\n`);
  const told = connections.map((each) => explanationText({ ...each, pathManager: "userspace", standing: [] }, streams));
  const rest = more > 0 ? [`... and ${more} more connections\n`] : [];
  return [
    streams.paint("bold", "Endpoints of the plan\n"),
    ...endpoints,
    ...leftOut,
    streams.paint("bold", `Connections (${connections.length + more})\n`),
    ...told,
    ...rest,
  ].join("");
}
