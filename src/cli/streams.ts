import { fstatSync, writeSync } from "node:fs";

/** Colours by meaning; the codes are those of ip(8) -color, so that eyes trained on it feel at home. */
const COLOURS = {
  interface: 36,
  inet: 35,
  inet6: 34,
  good: 32,
  warning: 33,
  bad: 31,
  dim: 2,
  bold: 1,
  inverse: 7,
} as const;

/** What a piece of text means, for {@link Streams.paint}. */
export type Colour = keyof typeof COLOURS;

/** All that a command may say to the outside world; tests pass buffers instead. */
export interface Streams {
  out(text: string): void;
  err(text: string): void;
  /** Standard output is a terminal: a person reads, and lines may be redrawn. */
  readonly isTerminal: boolean;
  /** Columns that a line of standard output may have; Infinity where nobody reads. */
  readonly width: number;
  /** Wraps the text in an escape sequence; returns it untouched when colour is off. */
  paint(colour: Colour, text: string): string;
}

/** When to colour: `auto` means on a terminal and without NO_COLOR (https://no-color.org). */
export type ColourChoice = "always" | "auto" | "never";

/** The one place that decides about colour. */
export function painter(enabled: boolean): Streams["paint"] {
  return enabled ? (colour, text) => `\u001b[${COLOURS[colour]}m${text}\u001b[0m` : (_colour, text) => text;
}

/**
 * The process's own streams. Writing is synchronous: nothing is lost at exit, and a closed pipe is an exception here
 * (EPIPE) instead of an event somewhere else.
 */
export function processStreams(choice: ColourChoice, environment: NodeJS.ProcessEnv): Streams {
  const isTerminal = isTerminalDescriptor(1);
  const automatic = isTerminal && !environment.NO_COLOR && environment.TERM !== "dumb";
  return {
    out: (text) => writeAll(1, text),
    err: (text) => writeAll(2, text),
    isTerminal,
    get width() {
      return isTerminal ? terminalWidth(environment) : Number.POSITIVE_INFINITY;
    },
    paint: painter(choice === "always" || (choice === "auto" && automatic)),
  };
}

/** Streams into strings, for tests and for commands that are redrawn. */
export function bufferStreams(
  options: { colour?: boolean; width?: number } = {},
): Streams & { stdout: string; stderr: string } {
  return {
    stdout: "",
    stderr: "",
    out(text) {
      this.stdout += text;
    },
    err(text) {
      this.stderr += text;
    },
    isTerminal: false,
    width: options.width ?? Number.POSITIVE_INFINITY,
    paint: painter(options.colour ?? false),
  };
}

/** Less than this no line can be broken into; it is what a terminal is taken for that does not say. */
const NARROWEST = 40;
const USUAL = 80;

/** Asked for by the commands that break lines only: what knows a terminal's size loads node:tty. */
function terminalWidth({ COLUMNS }: NodeJS.ProcessEnv): number {
  const known = Number(COLUMNS) || process.stdout.columns || USUAL;
  return Math.max(NARROWEST, known);
}

/**
 * isatty(3) without node:tty, whose loading costs a tenth of the whole start: Linux gives pseudo-terminals the major
 * numbers 136 to 143, and consoles and serial lines 4 (Documentation/admin-guide/devices.txt).
 */
export function isTerminalDescriptor(descriptor: number): boolean {
  try {
    const major = fstatSync(descriptor).rdev >> 8;
    return major === 4 || (major >= 136 && major <= 143);
  } catch {
    return false; // a closed descriptor
  }
}

function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(descriptor, bytes, done);
    } catch (error) {
      // A pipe that another process made non-blocking and that is full: wait a little for its reader.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
