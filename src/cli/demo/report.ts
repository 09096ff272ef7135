import { longestStall } from "../../lab/index.ts";
import type { Millis } from "../../types/index.ts";
import type { Json } from "../json.ts";
import { clipped } from "../layout.ts";
import type { Colour, Streams } from "../streams.ts";
import { formatBytes } from "../units.ts";
import type { DemoEvent, DemoPath, DemoResult, DemoState, Source } from "./state.ts";

type Paint = Streams["paint"];

const SOURCE_COLOURS: Readonly<Record<Source, Colour>> = {
  demo: "bold",
  subflow: "good",
  kernel: "interface",
  traffic: "inet",
};
/** Columns of a bar, and of the widest line with one that long. */
const BAR = 20;
const BAR_MIN = 4;
const FRAME_WIDTH = 78;

/** "  4.05 s  demo     wifi is cut". */
export function eventLine(event: DemoEvent, paint: Paint): string {
  return `${seconds(event.at)}  ${paint(SOURCE_COLOURS[event.source], event.source.padEnd(7))}  ${event.text}`;
}

/** The moving picture: one frame, without the events. No line is wider than the terminal: one that wraps breaks redrawing. */
export function frame(state: DemoState, paint: Paint, width: number): string[] {
  const size = Math.max(BAR_MIN, Math.min(BAR, BAR + width - FRAME_WIDTH));
  const bar = (share: number, colour: Colour): string => barOf(share, size, paint, colour);
  const received = `${formatBytes(state.received)} of ${formatBytes(state.goal)}`;
  return [
    "",
    ...state.paths.map((path) => pathLine(path, bar, paint)),
    `  ${"received".padEnd(10)}${bar(state.received / state.goal, "good")}  ${received}`,
    "",
    `  ${seconds(state.elapsed).trim()}; longest time without data: ${millis(longestStall(state.stalls))}`,
    "",
  ].map((line) => clipped(line, width));
}

function pathLine(path: DemoPath, bar: (share: number, colour: Colour) => string, paint: Paint): string {
  const link = path.isUp ? paint("good", "up ") : paint("bad", "cut");
  const rate = `${(path.throughput / 1e6).toFixed(1).padStart(5)} of ${path.rate / 1e6} Mbit/s`;
  return `  ${paint("bold", path.name.padEnd(10))}${bar(path.throughput / path.rate, "interface")}  ${rate}  ${link}  ${path.role}`;
}

function barOf(share: number, size: number, paint: Paint, colour: Colour): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * size);
  return paint(colour, "█".repeat(full)) + paint("dim", "·".repeat(size - full));
}

/** The table at the end: what happened when, what each path carried, how the application fared. */
export function report(result: DemoResult, paint: Paint): string {
  const { state, counters } = result;
  const [wifi, cellular] = state.paths;
  const header = `${"time".padStart(8)}  ${wifi.name.padStart(9)}  ${cellular.name.padStart(9)}  what happened`;
  const rows = state.events.map(({ at, source, text, bytes }) => {
    const carried = bytes.map((count) => formatBytes(count).padStart(9)).join("  ");
    return `${seconds(at)}  ${carried}  ${paint(SOURCE_COLOURS[source], source)}: ${text}`;
  });
  const total = wifi.bytes + cellular.bytes;
  const carried = state.paths.map(
    ({ name, bytes }) => `${name} ${formatBytes(bytes)} (${Math.round((100 * bytes) / total)} %)`,
  );
  const stalls = result.stalls.map(({ phase, longest }) => `${phase} ${millis(longest)}`);
  const facts: [string, string][] = [
    ["transfer", `${formatBytes(state.goal)} in ${(result.duration / 1000).toFixed(1)} s`],
    ["checksum", result.isIntact ? paint("good", "equal (SHA-256)") : paint("bad", "DIFFERENT")],
    ["carried", `${carried.join(", ")}; what was sent twice counts twice`],
    ["longest stall", stalls.join(", ")],
    ["other path", wait(result.delays.otherPath, "the cut")],
    ["wifi again", wait(result.delays.back, "its return")],
    ...result.leftOut.map((text): [string, string] => ["left out", text]),
  ];
  return [
    "",
    paint("bold", header),
    ...rows,
    "",
    ...facts.map(([name, text]) => `${name.padEnd(15)}${text}`),
    ...counters.map(({ name, value, meaning }) => `${name.padEnd(15)}${value}: ${meaning}`),
    "",
    ...explanation(result),
    "",
  ].join("\n");
}

/** The same for programs. */
export function reportJson(result: DemoResult): Json {
  const { release, manager, goal, paths, events } = result.state;
  return {
    release,
    manager,
    bytes: goal,
    duration_ms: Math.round(result.duration),
    checksum_equal: result.isIntact,
    paths: paths.map(({ name, role, bytes, rate }) => ({ name, role, bytes, rate })),
    longest_stall_ms: result.stalls.map(({ phase, longest }) => ({ phase, ms: Math.round(longest) })),
    other_path_ms: rounded(result.delays.otherPath),
    wifi_again_ms: rounded(result.delays.back),
    left_out: [...result.leftOut],
    kernel_events_while_cut: result.kernelEventsWhileCut,
    counters: Object.fromEntries(result.counters.map(({ name, value }) => [name, value])),
    events: events.map(({ at, source, text, bytes }) => ({ ms: Math.round(at), source, text, bytes: [...bytes] })),
  };
}

function explanation(result: DemoResult): string[] {
  return result.state.manager === "kernel" ? kernelExplanation(result) : ownExplanation(result);
}

function ownExplanation({ stalls }: DemoResult): string[] {
  const longest = stalls.find(({ phase }) => phase === "wifi cut")?.longest ?? 0;
  return [
    "Subflow decided every subflow here. It saw the carrier go, told the server by REMOVE_ADDR over cellular, and closed the",
    `subflow on wifi: the data went on over the backup at once, the application waited ${millis(longest)} at most.`,
    "When the carrier returned, so did the subflow. `subflow demo --kernel` shows the in-kernel path manager for comparison.",
  ];
}

function kernelExplanation({ kernelEventsWhileCut, stalls }: DemoResult): string[] {
  const nothing =
    kernelEventsWhileCut === 0
      ? "While wifi was cut it reported nothing and changed nothing: a lost link is no event to it."
      : `While wifi was cut it reported ${kernelEventsWhileCut} events, see the table.`;
  const wait = stalls.find(({ phase }) => phase === "wifi cut")?.longest ?? 0;
  return [
    "The in-kernel path manager opened the second subflow, as our own netlink code had configured it.",
    nothing,
    "The data moved to the backup only after packets on wifi had timed out and were sent again there:",
    `the application waited ${millis(wait)} at most. That varies from run to run.`,
  ];
}

function wait(delay: Millis | undefined, since: string): string {
  return delay === undefined ? "carried no data any more" : `carried data ${Math.round(delay)} ms after ${since}`;
}

function rounded(delay: Millis | undefined): number | null {
  return delay === undefined ? null : Math.round(delay);
}

function seconds(at: Millis): string {
  return `${(at / 1000).toFixed(3).padStart(6)} s`;
}

/** Gaps that are too short to be measured are none. */
function millis(duration: Millis): string {
  return duration === 0 ? "< 20 ms" : `${Math.round(duration)} ms`;
}
