import { lstatSync, type Stats, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { netnsInode } from "../netlink/index.ts";
import { SubflowError } from "../types/index.ts";

/** Of root, and of a user to whom root gave it (`RuntimeDirectory=subflow` of a systemd service). */
const SYSTEM = "/run/subflow";
/** sockaddr_un.sun_path, without its end (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;
const WRITABLE_BY_ALL = 0o002;

/** There is no safe place for a daemon's files, or the place is not safe. */
export class RuntimeDirectoryError extends SubflowError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: "RUNTIME_DIRECTORY", cause });
  }
}

/** The files of the daemon of one network namespace: named by the namespace's inode, so that any name of it leads to them. */
export interface RuntimeFiles {
  readonly directory: string;
  readonly socket: string;
  /** For everybody: see `PUBLIC`. */
  readonly applications: string;
  readonly lock: string;
  readonly state: string;
}

/**
 * Where a daemon that this process starts keeps its files: `$SUBFLOW_RUNTIME_DIRECTORY`; /run/subflow where that is ours; else
 * our own run directory (an ordinary user in a namespace of its own). Never a directory that everybody shares.
 * @throws RuntimeDirectoryError when there is none
 */
export function runtimeDirectory(): string {
  const chosen = process.env.SUBFLOW_RUNTIME_DIRECTORY;
  if (chosen) return chosen;
  const own = isSystemOurs() ? SYSTEM : ownDirectory();
  if (own !== undefined) return own;
  throw new RuntimeDirectoryError(
    "there is no directory for the daemon's files: /run is not ours, and neither XDG_RUNTIME_DIR nor HOME names a directory " +
      "of ours; set SUBFLOW_RUNTIME_DIRECTORY to a directory that only you can write",
  );
}

/**
 * The files of a daemon that this process starts.
 * @throws RuntimeDirectoryError
 */
export function ownRuntimeFiles(): RuntimeFiles {
  const files = filesIn(runtimeDirectory(), netnsInode());
  if (Buffer.byteLength(files.applications) <= SOCKET_PATH_BYTES_MAX) return files;
  throw new RuntimeDirectoryError(
    `${files.applications} is longer than a socket's path can be (${SOCKET_PATH_BYTES_MAX} bytes); set SUBFLOW_RUNTIME_DIRECTORY to a shorter one`,
  );
}

/**
 * The files of the daemon that has a namespace: our own, or the system's (whose group may talk to it).
 * @param netns a name of /run/netns or a path; our own when absent
 */
export function runtimeFiles(netns?: string): RuntimeFiles {
  const inode = netnsInode(netns);
  if (process.env.SUBFLOW_RUNTIME_DIRECTORY) return filesIn(process.env.SUBFLOW_RUNTIME_DIRECTORY, inode);
  const own = isSystemOurs() ? undefined : ownDirectory();
  const files = filesIn(own ?? SYSTEM, inode);
  return look(files.socket) ? files : filesIn(SYSTEM, inode);
}

function filesIn(directory: string, inode: number): RuntimeFiles {
  const base = join(directory, `${inode}`);
  return {
    directory,
    socket: `${base}.sock`,
    applications: `${base}.apps.sock`,
    lock: `${base}.lock`,
    state: `${base}.json`,
  };
}

/** In a user namespace /run shows another owner than the root that we seem to be. */
function isSystemOurs(): boolean {
  const self = process.geteuid?.();
  return look("/run")?.uid === self || look(SYSTEM)?.uid === self;
}

function ownDirectory(): string | undefined {
  const { XDG_RUNTIME_DIR: run, HOME: home } = process.env;
  if (isOurs(run)) return join(run, "subflow");
  // Where nobody logged in (cron, a container): a directory that outlives the daemon does no harm, its lock does not.
  if (isOurs(home)) return join(home, ".local", "state", "subflow");
  return undefined;
}

function isOurs(path: string | undefined): path is string {
  if (path === undefined || !isAbsolute(path)) return false;
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && stats.uid === process.geteuid?.() && (stats.mode & WRITABLE_BY_ALL) === 0;
}

/** Without following a link; undefined also where we may not look. */
function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
