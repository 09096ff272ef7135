import {
  type Finding,
  type FixPlace,
  fixCommand,
  type Level,
  type NotLooked,
  type PathVerdict,
} from "../../doctor/index.ts";
import type { Json } from "../json.ts";
import { wrapped } from "../layout.ts";
import type { Colour, Streams } from "../streams.ts";

type Layout = Pick<Streams, "paint" | "width">;

const COLOUR: Record<Level, Colour> = { ok: "good", note: "dim", warning: "warning", error: "bad" };

/** Findings for a person: the worst first, each with its reason and its fix. */
export function findingsText(findings: readonly Finding[], place: FixPlace, layout: Layout): string {
  const blocks = (["error", "warning", "note", "ok"] as const).flatMap((level) =>
    findings.filter((finding) => finding.level === level).map((finding) => block(finding, place, layout)),
  );
  return blocks.join("");
}

/** Commands are never broken: they are there to be copied. */
function block({ id, level, seen, why, fix, safe }: Finding, place: FixPlace, { paint, width }: Layout): string {
  const lines = wrapped(`${paint(COLOUR[level], level.padEnd(8))}${seen} ${paint("dim", `[${id}]`)}`, width, 8);
  if (why !== "") lines.push(...wrapped(`        ${why}`, width, 8));
  for (const step of fix) lines.push(`        ${paint("bold", "$")} ${fixCommand(step, place)}`);
  if (safe && level !== "note") lines.push(`        ${paint("dim", "(`subflow doctor --fix` does this)")}`);
  return `${lines.join("\n")}\n`;
}

/** What could not be looked at, one line each. */
export function notLookedText(notLooked: readonly NotLooked[], { paint, width }: Layout): string {
  return notLooked
    .flatMap(({ what, why }) => wrapped(`not looked at: ${what}: ${why}`, width, 8))
    .map((line) => `${paint("dim", line)}\n`)
    .join("");
}

/** "2 errors, 1 warning, 3 notes": the last line. */
export function summaryText(findings: readonly Finding[]): string {
  const counts = (["error", "warning", "note"] as const).flatMap((level) => {
    const count = findings.filter((finding) => finding.level === level).length;
    return count === 0 ? [] : [`${count} ${level}${count === 1 ? "" : "s"}`];
  });
  return `${counts.length === 0 ? "nothing found" : counts.join(", ")}\n`;
}

/** Findings for a program: fixes as the commands that a person would type. */
export function findingsJson(findings: readonly Finding[], place: FixPlace): Json {
  return findings.map(({ fix, ...finding }) => ({ ...finding, fix: fix.map((step) => fixCommand(step, place)) }));
}

const VERDICT_COLOUR: Record<PathVerdict["verdict"], Colour> = {
  survives: "good",
  "does not survive": "bad",
  unknown: "warning",
};

/** One line per path, and one for its join where it was tried. */
export function verdictsText(verdicts: readonly PathVerdict[], { paint, width }: Layout): string {
  return verdicts
    .flatMap(({ local, device, remote, verdict, because, withMptcp, join, joinNote }) => {
      const last = withMptcp.at(-1);
      const time = last && "duration" in last ? ` (${last.duration.toFixed(1)} ms)` : "";
      const head = `${local} ${paint("interface", device)} → ${remote}: ${paint(VERDICT_COLOUR[verdict], verdict)}`;
      const joined = joinNote === "" ? [] : wrapped(`        join: ${join ?? "unknown"}: ${joinNote}`, width, 8);
      return [...wrapped(`${head}: ${because}${time}`, width, 8), ...joined];
    })
    .map((line) => `${line}\n`)
    .join("");
}
