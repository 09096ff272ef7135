import { lstatSync, mkdirSync, type Stats, statSync } from "node:fs";
import { basename, isAbsolute, join } from "node:path";
import { netnsInode } from "../../netlink/index.ts";
import { ForeignFileError } from "./safe-file.ts";

/** Of root, and of a user to whom root gave it (`StateDirectory=subflow` of a systemd service, which names it itself). */
export const SYSTEM_STATE = "/var/lib/subflow";
const DIRECTORY_MODE = 0o750;
const WRITABLE_BY_OTHERS = 0o022;

/** Where a daemon keeps what outlives it. */
export interface StatePlace {
  readonly directory: string;
  /** Behind the names of files: which namespace they are of; "" for the host's own. */
  readonly suffix: string;
  /** A later daemon of the same namespace finds it again: not where the namespace has no name but its inode. */
  readonly isLasting: boolean;
}

/**
 * The place for a namespace; it is to be found again after the host was started anew, when the inode of a namespace is another.
 * To be asked before capabilities are dropped: then nobody may look at process 1.
 * @param netns as the command line names it
 */
export function statePlace(netns: string | undefined): StatePlace {
  const { SUBFLOW_STATE_DIRECTORY: chosen, STATE_DIRECTORY } = process.env;
  const ofService = STATE_DIRECTORY?.split(":")[0];
  // A service has one namespace, and its directory is its own; it may see no other process to compare with.
  if (!chosen && ofService && netns === undefined) return { directory: ofService, suffix: "", isLasting: true };
  const directory = chosen || ofService || (process.geteuid?.() === 0 ? SYSTEM_STATE : ownDirectory());
  const suffix = suffixOf(netns);
  return { directory, suffix, isLasting: Boolean(chosen) || netns !== undefined || suffix === "" };
}

function ownDirectory(): string {
  const { XDG_STATE_HOME: state, HOME: home } = process.env;
  return state && isAbsolute(state) ? join(state, "subflow") : join(home ?? "/", ".local", "state", "subflow");
}

function suffixOf(netns: string | undefined): string {
  if (netns !== undefined) return `-${basename(netns)}`;
  const inode = netnsInode();
  try {
    return statSync("/proc/1/ns/net").ino === inode ? "" : `-${inode}`;
  } catch {
    return `-${inode}`;
  }
}

/** Makes the directory, or finds it as it should be. @throws ForeignFileError */
export function requireDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  requireOwn(directory, lstatSync(directory));
}

/** Others could plant what we go by. @throws ForeignFileError */
export function requireOwn(directory: string, stats: Stats): void {
  if (!stats.isDirectory()) throw new ForeignFileError(directory, "is no directory");
  if (stats.uid !== process.geteuid?.()) throw new ForeignFileError(directory, `belongs to user ${stats.uid}`);
  if (stats.mode & WRITABLE_BY_OTHERS) throw new ForeignFileError(directory, "can be written by others");
}
