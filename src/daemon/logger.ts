import { createRequire } from "node:module";
import pino, { type Logger as PinoLogger } from "pino";
import type { Config } from "../config/index.ts";

export type Logger = PinoLogger;

/** syslog(3) priorities by pino's levels: what journald understands as `<N>` before a line (sd-daemon(3)). */
const JOURNAL_PRIORITY: readonly (readonly [number, number])[] = [
  [60, 2],
  [50, 3],
  [40, 4],
  [30, 6],
  [0, 7],
];

function write(text: string): void {
  process.stderr.write(text);
}

/** A log that nobody reads any more, or a full disk under it, is no reason to leave the connections alone. */
function goOnWithoutReader(): void {
  process.stderr.on("error", () => undefined);
}

/** Lines on stderr: readable on a terminal, JSON elsewhere, with journald's priority when it reads us. */
export function createLogger({ level, format }: Config["log"]): Logger {
  goOnWithoutReader();
  const human = format === "human" || (format === "auto" && process.stderr.isTTY === true);
  const options = { level, base: undefined };
  if (human) return pino(options, prettyStream());
  if (process.env.JOURNAL_STREAM === undefined) return pino(options, { write });
  const journal = {
    write(line: string): void {
      const { level: number } = JSON.parse(line) as { level: number };
      const priority = JOURNAL_PRIORITY.find(([from]) => number >= from)?.[1] ?? 7;
      write(`<${priority}>${line}`);
    },
  };
  return pino(options, journal);
}

/** pino-pretty is loaded only where somebody looks: a daemon under systemd never needs it. */
function prettyStream(): { write(line: string): void } {
  // A plain import would load it at every start.
  const require = createRequire(import.meta.url);
  const { prettyFactory } = require("pino-pretty") as typeof import("pino-pretty");
  const pretty = prettyFactory({
    colorize: process.stderr.isTTY === true && !process.env.NO_COLOR,
    ignore: "pid,hostname",
  });
  return { write: (line) => write(pretty(JSON.parse(line)) ?? line) };
}
