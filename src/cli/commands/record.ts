import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "../../control/index.ts";
import { segmentsIn } from "../../daemon/index.ts";
import { quantity } from "../../engine/index.ts";
import { amountText } from "../../host/index.ts";
import type { Context } from "../command.ts";
import { EXIT, failure, missingArgument, wrongArgument } from "../failure.ts";
import { parseOptions } from "../options.ts";
import { durationOf } from "../replay/duration.ts";
import { Part, ringDirectory, since } from "../replay/ring.ts";

/** From one look at the files of the daemon to the next. Milliseconds. */
const LOOK = 500;
const PIECE = 256 * 1024;
const SIZE_DEFAULT = "256MB";

/** `record FILE`: what the daemon writes down anyway, from now on until ^C, or of the last minutes. */
export async function run(context: Context): Promise<number> {
  const { values, words } = parseOptions(context);
  const [file] = words;
  if (file === undefined) throw missingArgument("FILE");
  const { global, streams } = context;
  const last = values.last === undefined ? undefined : durationOf(values.last);
  const directory = await ringDirectory(global.netns, last !== undefined);
  const parts = segmentsIn(directory).map((path) => new Part(path));
  const wanted = last === undefined ? parts.slice(-1) : since(parts, Date.now() - last);
  if (wanted.length === 0) throw failure(`Error: nothing is recorded in ${directory} yet.`);
  const copy = new Copy(file, sizeOf(values.max ?? SIZE_DEFAULT));
  try {
    for (const part of wanted) copy.take(part);
    if (last === undefined) {
      streams.err("recording; ^C ends it\n");
      await follow(copy, { directory, netns: global.netns, before: parts });
    }
  } finally {
    copy[Symbol.dispose]();
    for (const part of parts) part[Symbol.dispose]();
  }
  const full = copy.isFull ? ", which is all that it may have (--max)" : "";
  streams.err(
    `${file}: ${amountText(copy.size)}${full}. \`subflow replay ${file}\` plays it; ${addressesIn(copy.masks)}.\n`,
  );
  return EXIT.success;
}

/** What of addresses stands in what was copied, by what each of its parts says. */
function addressesIn(masks: ReadonlySet<boolean>): string {
  if (!masks.has(true)) return "it names addresses of yours and of peers";
  if (!masks.has(false)) return "its addresses are masked (`privacy: mask`)";
  return "its addresses are masked in part: before `privacy: mask`, or without it, it names yours and those of peers";
}

function sizeOf(text: string): number {
  const size = quantity("bytes", text);
  if (size === undefined || size <= 0) throw wrongArgument(text, `a size is as "${SIZE_DEFAULT}"`);
  return size;
}

/** The file that is written. */
class Copy implements Disposable {
  readonly #fd: number;
  readonly #max: number;
  size = 0;
  /** Whether addresses are masked, of each part that something was taken of. */
  readonly masks = new Set<boolean>();
  isFull = false;

  constructor(file: string, max: number) {
    const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants;
    this.#fd = openSync(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
    this.#max = max;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** What a part has grown by. */
  take(part: Part): void {
    const piece = Buffer.allocUnsafe(PIECE);
    for (const end = fstatSync(part.fd).size; part.taken < end && !this.isFull; ) {
      const length = readSync(part.fd, piece, 0, Math.min(PIECE, end - part.taken), part.taken);
      if (length === 0) return;
      this.masks.add(part.isMasked);
      if (this.size + length > this.#max) {
        this.isFull = true;
        return;
      }
      for (let done = 0; done < length; ) done += writeSync(this.#fd, piece, done, length - done);
      part.taken += length;
      this.size += length;
    }
  }
}

interface Followed {
  readonly directory: string;
  readonly netns: string | undefined;
  /** Those that were there, of which the newest was begun. */
  readonly before: readonly Part[];
}

/** Copies what comes until ^C. */
async function follow(copy: Copy, { directory, netns, before }: Followed): Promise<void> {
  const stopped = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopped.abort());
  const newest = before.at(-1);
  const known = new Map(before.map((part) => [part.path, part === newest ? part : undefined]));
  const takeAll = (): void => {
    for (const path of segmentsIn(directory)) {
      if (!known.has(path)) known.set(path, new Part(path));
    }
    for (const part of known.values()) if (part) copy.take(part);
  };
  try {
    while (!stopped.signal.aborted && !copy.isFull) {
      await sleep(LOOK, undefined, { signal: stopped.signal }).catch(() => undefined);
      takeAll();
    }
    // A daemon that has ended meanwhile has written all that it had to say.
    await ask("recording", {}, { netns }).catch(() => undefined);
    takeAll();
  } finally {
    for (const part of known.values()) if (part !== newest) part?.[Symbol.dispose]();
  }
}
