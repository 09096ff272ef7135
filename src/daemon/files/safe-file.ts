import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from "node:fs";
import { SubflowError } from "../../types/index.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;
const OWN_ONLY = 0o600;

/** A file of the runtime directory is not what we would have made: a link, another's, no file. */
export class ForeignFileError extends SubflowError {
  constructor(path: string, what: string) {
    super(`${path} ${what}: it is not the daemon's; look who made it, and remove it`, { code: "FOREIGN_FILE" });
  }
}

function requireOurs(path: string, stats: Stats): void {
  if (!stats.isFile()) throw new ForeignFileError(path, "is no regular file");
  if (stats.uid !== process.geteuid?.()) throw new ForeignFileError(path, `belongs to user ${stats.uid}`);
}

function openOurs(path: string, flags: number): number {
  let fd: number;
  try {
    // O_NONBLOCK: a planted FIFO would hold open(2) up for ever.
    fd = openSync(path, flags | O_NOFOLLOW | O_NONBLOCK, OWN_ONLY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ELOOP") throw new ForeignFileError(path, "is a symbolic link");
    throw error;
  }
  try {
    requireOurs(path, fstatSync(fd));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Opens a file of ours for reading and writing, and makes it where there is none: for nobody else to open.
 * @throws ForeignFileError, or the error of open(2)
 */
export function openOrCreate(path: string): number {
  return openOurs(path, O_RDWR | O_CREAT);
}

/** @throws ForeignFileError, or the error of open(2) */
export function readOurs(path: string): string {
  const fd = openOurs(path, O_RDONLY);
  try {
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}

/** Where the next text of a file is written before it takes the file's place. */
export function freshPath(path: string): string {
  return `${path}.new`;
}

/** Replaces a file in one step: a kill -9 leaves the old text or the new one, never half of it; nor does a full disk. */
export function replaceFile(path: string, text: string): void {
  const fresh = freshPath(path);
  // What a killed daemon left, or somebody planted: unlink(2) takes a link away, not what it points to.
  rmSync(fresh, { force: true });
  const fd = openSync(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, OWN_ONLY);
  try {
    writeFileSync(fd, text);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(fresh, path);
}
