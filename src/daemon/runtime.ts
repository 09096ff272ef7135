import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { loadNative, netnsCookie, netnsInode } from "../netlink/index.ts";
import { ERRNO, errnoName, SubflowError } from "../types/index.ts";
import type { SavedHost } from "./host/memory.ts";

/**
 * Where daemons keep their sockets: /run/subflow, or the user's own run directory where that cannot be written (a user
 * namespace). $SUBFLOW_RUNTIME_DIRECTORY decides over both, for daemon and CLI alike.
 */
export function runtimeDirectory(): string {
  const chosen = process.env.SUBFLOW_RUNTIME_DIRECTORY;
  if (chosen) return chosen;
  return process.getuid?.() === 0 && isWritable("/run")
    ? "/run/subflow"
    : join(process.env.XDG_RUNTIME_DIR ?? "/tmp", `subflow-${process.getuid?.() ?? 0}`);
}

function isWritable(directory: string): boolean {
  // Root of a user namespace is refused by the file's owner, not by its mode: only trying tells.
  const probe = join(directory, `.subflow-${process.pid}`);
  try {
    if (existsSync(join(directory, "subflow"))) return true;
    closeSync(openSync(probe, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY));
    unlinkSync(probe);
    return true;
  } catch {
    return false;
  }
}

/** The files of the daemon of one network namespace: named by the namespace's inode, so that any name of it leads to them. */
export interface RuntimeFiles {
  readonly socket: string;
  readonly lock: string;
  readonly state: string;
}

/** @param netns a name of /run/netns or a path; our own when absent */
export function runtimeFiles(netns?: string): RuntimeFiles {
  const base = join(runtimeDirectory(), `${netnsInode(netns)}`);
  return { socket: `${base}.sock`, lock: `${base}.lock`, state: `${base}.json` };
}

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
 * Takes the lock that one daemon per namespace holds; the kernel gives it back when the process ends, also after kill -9.
 * @returns the descriptor that holds it
 */
export function takeLock({ lock }: RuntimeFiles): number {
  mkdirSync(runtimeDirectory(), { recursive: true, mode: 0o755 });
  const fd = openSync(lock, constants.O_CREAT | constants.O_RDWR, 0o644);
  const result = loadNative().lockFile(fd);
  if (result < 0) {
    const holder = readFileSync(lock, "latin1").trim();
    closeSync(fd);
    if (-result === ERRNO.EAGAIN) throw new AlreadyRunningError(holder);
    throw new SubflowError(`cannot lock ${lock}: ${errnoName(-result)}`, { code: "LOCK" });
  }
  writeFileSync(lock, `${process.pid}\n`);
  return fd;
}

/** What must outlive a kill -9: what the namespace was like before any daemon came, and what was changed since. */
export interface SavedState {
  readonly pathManager: "kernel" | "userspace";
  readonly host: Partial<SavedHost>;
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

/** @returns undefined when no daemon left anything in this namespace */
export function readState({ state }: RuntimeFiles): SavedState | undefined {
  try {
    const { pathManager, host, namespace } = JSON.parse(readFileSync(state, "utf8")) as Partial<StateFile>;
    if (namespace !== namespaceIdentity()) return undefined;
    if (pathManager !== "kernel" && pathManager !== "userspace") return undefined;
    return { pathManager, host: host ?? {} };
  } catch {
    return undefined;
  }
}

/** Replaces the file in one step: a kill -9 leaves the old state or the new one, never half of it. */
export function writeState({ state }: RuntimeFiles, saved: SavedState): void {
  const fresh = `${state}.new`;
  identity ??= namespaceIdentity();
  const file: StateFile = { ...saved, namespace: identity };
  writeFileSync(fresh, `${JSON.stringify(file)}\n`, { mode: 0o600 });
  renameSync(fresh, state);
}

/** Removes what a daemon leaves in the runtime directory; the lock goes last. */
export function removeFiles(files: RuntimeFiles): void {
  for (const path of [files.socket, files.state, files.lock]) {
    try {
      unlinkSync(path);
    } catch {
      // Gone already, or the directory is: either way there is nothing left to remove.
    }
  }
}
