import {
  closeSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { RuntimeDirectoryError, type RuntimeFiles } from "../../control/index.ts";
import type { SavedHost } from "../../host/index.ts";
import { loadNative, netnsCookie } from "../../netlink/index.ts";
import { ERRNO, errnoName, SubflowError } from "../../types/index.ts";
import { freshPath, openOrCreate, readOurs, replaceFile } from "./safe-file.ts";

/** The group of the socket may look around; everybody may pass through, to the one socket that is for them. */
const DIRECTORY_MODE = 0o751;
/** What stands above a directory of an ordinary user. */
const PARENT_MODE = 0o700;
const WRITABLE_BY_OTHERS = 0o022;
const OWN_ONLY = 0o600;
/** The file may be removed by a daemon that ends between our opening and our locking it: then there is a new one. */
const LOCK_TRIES_MAX = 100;
const REMOVE_TRIES = 2;

/** Another daemon has this namespace already. */
export class AlreadyRunningError extends SubflowError {
  constructor(pid: string) {
    const who = pid ? ` (process ${pid})` : "";
    super(
      `a Subflow daemon runs already in this network namespace${who}; end it first, or use it with \`subflow status\``,
      {
        code: "ALREADY_RUNNING",
      },
    );
  }
}

/**
 * Makes the directory of the daemon's files, or finds it as it should be: ours, and nobody else's to write.
 * @throws RuntimeDirectoryError
 */
export function openRuntimeDirectory({ directory }: RuntimeFiles): void {
  try {
    mkdirSync(dirname(directory), { recursive: true, mode: PARENT_MODE });
    mkdirSync(directory, { mode: DIRECTORY_MODE });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST") {
      const hint = "set SUBFLOW_RUNTIME_DIRECTORY to a directory that can be written";
      throw new RuntimeDirectoryError(`cannot make ${directory}: ${code ?? message}; ${hint}`, error);
    }
  }
  const stats = lstatSync(directory);
  const refuse = (what: string, remedy: string): never => {
    throw new RuntimeDirectoryError(`${directory} ${what}: others could take the daemon's place there; ${remedy}`);
  };
  if (!stats.isDirectory()) refuse("is no directory", "remove it");
  if (stats.uid !== process.geteuid?.()) refuse(`belongs to user ${stats.uid}`, "remove it, or run as that user");
  if (stats.mode & WRITABLE_BY_OTHERS) refuse("can be written by others", `\`chmod go-w ${directory}\` mends it`);
}

/**
 * Takes the lock that one daemon per namespace holds; the kernel gives it back when the process ends, also after kill -9.
 * @returns the descriptor that holds it
 * @throws AlreadyRunningError, ForeignFileError
 */
export function takeLock({ lock }: RuntimeFiles): number {
  for (let tries = 0; tries < LOCK_TRIES_MAX; tries++) {
    const fd = openOrCreate(lock);
    const result = loadNative().lockFile(fd);
    if (result < 0) {
      const holder = readFileSync(fd, "latin1").trim();
      closeSync(fd);
      if (-result === ERRNO.EAGAIN) throw new AlreadyRunningError(holder);
      throw new SubflowError(`cannot lock ${lock}: ${errnoName(-result)}`, { code: "LOCK" });
    }
    // Locked, but is it still the file of that name? Whoever ends removes it while it holds it.
    if (isThere(fd, lock)) {
      fchmodSync(fd, OWN_ONLY);
      writeHolder(fd);
      return fd;
    }
    closeSync(fd);
  }
  throw new SubflowError(`cannot lock ${lock}: it is removed again and again`, { code: "LOCK" });
}

function isThere(fd: number, path: string): boolean {
  const named = lstatSync(path, { throwIfNoEntry: false });
  const { dev, ino } = fstatSync(fd);
  return named?.ino === ino && named.dev === dev;
}

/** Only for a person to read: a full disk does not keep a daemon from starting. */
function writeHolder(fd: number): void {
  try {
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`, 0);
  } catch {
    // The lock holds without.
  }
}

/** What must outlive a kill -9: what the namespace was like before any daemon came, and what was changed since. */
export interface SavedState {
  readonly pathManager: "kernel" | "userspace";
  readonly host: Partial<SavedHost>;
  /** Process id of the daemon's last will (`life/last-will.ts`); undefined: there is none. */
  readonly will?: number | undefined;
}

/** As written: with the namespace that it is about. */
interface StateFile extends SavedState {
  readonly namespace: string;
}

/** Of the namespace that this process writes for, which is the one it stays in. */
let identity: string | undefined;

/** The kernel gives the inode of a namespace that is gone to a new one, and the file may outlive the machine's uptime. */
function namespaceIdentity(): string {
  return `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()} ${netnsCookie()}`;
}

/**
 * @returns undefined when no daemon left anything in this namespace
 * @throws ForeignFileError, or the error of the file system: what may be there and cannot be read must not be taken for nothing
 */
export function readState({ state }: RuntimeFiles): SavedState | undefined {
  let text: string;
  try {
    text = readOurs(state);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const { pathManager, host, will, namespace } = parse(text);
  if (namespace !== namespaceIdentity()) return undefined;
  if (pathManager !== "kernel" && pathManager !== "userspace") return undefined;
  return { pathManager, host: host ?? {}, ...(Number.isSafeInteger(will) && { will }) };
}

/** It is replaced in one step: text that is no JSON was never ours. */
function parse(text: string): Partial<StateFile> {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

/** @throws the error of the file system */
export function writeState({ state }: RuntimeFiles, saved: SavedState): void {
  identity ??= namespaceIdentity();
  const file: StateFile = { ...saved, namespace: identity };
  replaceFile(state, `${JSON.stringify(file)}\n`);
}

/**
 * Removes what a daemon leaves in the runtime directory, while it holds the lock; the lock goes last.
 * @param state whether the state goes too: not where the next daemon has something to put back
 */
export function removeFiles(files: RuntimeFiles, { state }: { readonly state: boolean }): void {
  for (const path of [
    files.socket,
    files.applications,
    freshPath(files.state),
    ...(state ? [files.state] : []),
    files.lock,
  ])
    remove(path);
}

/** A file system that fails once does not fail twice, most likely; what stays, the next daemon knows what to make of. */
function remove(path: string): void {
  for (let left = REMOVE_TRIES; left > 0; left--) {
    try {
      return rmSync(path, { force: true });
    } catch {
      // Once more, and then never mind.
    }
  }
}
