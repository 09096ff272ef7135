import { closeSync, fstatSync, openSync, readFileSync, readSync, type Stats, statSync } from "node:fs";

/** What is asked of a file or folder before what it says is followed. */
export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** Who reads: the users whose word counts, and the number by which the kernel shows those it has no name for here. */
export interface Reader {
  readonly trusted: readonly number[];
  /** Owner of files from outside of this user namespace; undefined in the outermost one. */
  readonly stranger: number | undefined;
}

/**
 * Root follows what stands in a configuration, so nobody else may have written it: it belongs to root, to who runs us or
 * called us by sudo(8), and neither a stranger nor a group may write it. A group named as its owner (the private group
 * of Debian and Fedora) is no stranger.
 * @returns what is wrong and how to mend it; undefined: nothing
 */
export function distrust({ uid, gid, mode }: Ownership, { trusted, stranger }: Reader): string | undefined {
  if (!trusted.includes(uid) && uid !== stranger) {
    return `belongs to user ${uid}, who could have root do anything by it; give it to root (chown root)`;
  }
  const isPrivateGroup = gid === 0 || gid === uid;
  if (mode & 0o002 || (mode & 0o020 && !isPrivateGroup)) {
    return `can be written by others (mode ${(mode & 0o7777).toString(8)}); take that away (chmod go-w)`;
  }
  return undefined;
}

/** Root, ourselves, and who called us by sudo. */
export function currentReader(): Reader {
  const { SUDO_UID } = process.env;
  const trusted = [0, process.geteuid?.() ?? 0, ...(/^\d+$/.test(SUDO_UID ?? "") ? [Number(SUDO_UID)] : [])];
  return { trusted, stranger: unmappedUser() };
}

/** In a user namespace the kernel shows every outer owner, the real root too, as one number that no user inside has. */
function unmappedUser(): number | undefined {
  const overflow = Number(readFileSync("/proc/sys/kernel/overflowuid", "latin1"));
  const isInside = (line: string): boolean => {
    const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
    return overflow >= first && overflow < first + count;
  };
  return readFileSync("/proc/self/uid_map", "latin1").trim().split("\n").some(isInside) ? undefined : overflow;
}

/** The file is not ours to follow; the message begins with what is wrong with it. */
export class DistrustError extends Error {}

/**
 * Reads a file whose owner is trusted, at most `max` bytes and one more. What is looked at is what is read: the open file.
 * Throws {@link DistrustError}, and what open(2) and read(2) do.
 */
export function readTrusted(file: string, max: number, reader: Reader): string {
  check(statSync(file), reader); // before open(2): that of somebody's FIFO would wait for ever
  const fd = openSync(file, "r");
  try {
    check(fstatSync(fd), reader);
    const bytes = Buffer.alloc(max + 1);
    let length = 0;
    for (let count = -1; count !== 0 && length <= max; length += count) {
      count = readSync(fd, bytes, length, bytes.length - length, null);
    }
    return bytes.toString("utf8", 0, length);
  } finally {
    closeSync(fd);
  }
}

/** The same for a folder: who may write it chooses the files in it. Throws {@link DistrustError}. */
export function checkTrusted(directory: string, reader: Reader): void {
  check(statSync(directory), reader);
}

function check(stats: Stats, reader: Reader): void {
  // /dev/null, a terminal: everybody writes to them, and nobody changes what is read.
  if (stats.isCharacterDevice()) return;
  const fault = distrust(stats, reader);
  if (fault !== undefined) throw new DistrustError(fault);
}
