import { accessSync, closeSync, constants, openSync, readSync } from "node:fs";
import { ask, NoDaemonError, runtimeFiles } from "../../control/index.ts";
import { blackBoxPlace, segmentsIn, serviceBlackBox } from "../../daemon/index.ts";
import { netnsInode } from "../../netlink/index.ts";
import { type Beginning, RecordingReader } from "../../recording/index.ts";
import { SubflowError } from "../../types/index.ts";
import { failure } from "../failure.ts";

/** The first entry of a file is within so many bytes, unless a host has thousands of interfaces. */
const PIECE = 256 * 1024;

const FOR_WHOM =
  "for root, the daemon's user and its group: run this as root, or as a member of that group (`subflow` as packaged)";

/** Where the daemon writes; without one, where the last one wrote. */
export async function ringDirectory(netns: string | undefined, isOver: boolean): Promise<string> {
  const directory = await ringIfAllowed(netns, isOver);
  if (directory === undefined) throw failure(`Error: the black box is ${FOR_WHOM}.`);
  return directory;
}

/** The same; undefined: there is a daemon, and it tells us of our own connections alone. */
export async function ringIfAllowed(netns: string | undefined, isOver: boolean): Promise<string | undefined> {
  try {
    const answer = await ask("recording", {}, { netns });
    if (answer) return readable(answer.directory);
    throw failure("Error: the daemon's black box is off: set `black_box: 16MB` in its configuration and reload it.");
  } catch (error) {
    if (error instanceof SubflowError && error.code === "DENIED") return undefined;
    if (!(error instanceof NoDaemonError) || !isOver) throw error;
    const files = runtimeFiles(netns);
    // One that was started within the namespace did not know its name.
    const places = [blackBoxPlace(netns, files), blackBoxPlace(`-/${netnsInode(netns)}`, files)];
    const directories = [
      ...places.map(({ directory }) => directory),
      files.state.replace(/\.json$/, ".black-box"),
      ...(process.env.SUBFLOW_STATE_DIRECTORY ? [] : [serviceBlackBox(netns)]),
    ];
    return directories.find((directory) => segmentsIn(readable(directory)).length > 0) ?? (directories[0] as string);
  }
}

function readable(directory: string): string {
  try {
    accessSync(directory, constants.R_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") throw failure(`Error: ${directory} is ${FOR_WHOM}.`);
  }
  return directory;
}

/** The one that was at hand then, and all that came later. */
export function since(parts: readonly Part[], time: number): readonly Part[] {
  const later = parts.findIndex(({ begins }) => begins > time);
  return later < 0 ? parts.slice(-1) : parts.slice(Math.max(0, later - 1));
}

/** One file of the ring, open: it is read to its end although the ring has dropped it. */
export class Part implements Disposable {
  readonly path: string;
  readonly fd: number;
  /** Milliseconds since 1970; 0: it does not say. */
  readonly begins: number;
  /** What was copied of it. */
  taken = 0;
  #isMasked: boolean | undefined;

  constructor(path: string) {
    this.path = path;
    this.fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    this.begins = this.#beginning()?.epoch ?? 0;
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }

  /** It says that its addresses are other ones. One that was just made may not have said so yet, and is asked again. */
  get isMasked(): boolean {
    this.#isMasked ??= this.#beginning()?.isMasked === true;
    return this.#isMasked;
  }

  #beginning(): Beginning | undefined {
    const head = Buffer.alloc(PIECE);
    const length = readSync(this.fd, head, 0, PIECE, 0);
    for (const entry of new RecordingReader().push(head.subarray(0, length))) {
      if (entry.type === "begin") return entry;
    }
    return undefined;
  }
}
