import { accessSync, closeSync, constants, openSync, readSync, type Stats, statSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import { SubflowError } from "../types/index.ts";
import { type Elf, MACHINE, type ReadAt, readElf } from "./elf.ts";

/** A program that there is not, or that may not be run: `exitStatus` as shells and env(1) have it. */
export class ProgramError extends SubflowError {
  readonly exitStatus: 126 | 127;
  constructor(message: string, exitStatus: 126 | 127) {
    super(message, { code: "PROGRAM" });
    this.exitStatus = exitStatus;
  }
}

/** A file that can be executed. */
export interface Program {
  readonly path: string;
  /** undefined: a script, or a format that binfmt_misc knows. */
  readonly elf: Elf | undefined;
  /** Of a script: what its first line names; undefined where that cannot be looked at. */
  readonly interpreter: Program | undefined;
  /** The set-user-id or set-group-id bit of another user than the one who runs it: the dynamic linker preloads nothing. */
  readonly isSetId: boolean;
}

/** A line of `#!` that is longer no kernel takes (BINPRM_BUF_SIZE). */
const FIRST_LINE_MAX = 256;
/** The kernel follows five interpreters of interpreters (fs/exec.c). */
const DEPTH_MAX = 5;
const SET_UID = 0o4000;
const SET_GID = 0o2000;
const EXECUTABLE = 0o111;

/**
 * The file that a name stands for, as execvp(3) finds it.
 * @throws ProgramError
 */
export function findProgram(name: string, path = process.env.PATH ?? "/usr/bin:/bin"): string {
  if (name === "") throw new ProgramError('"" is no program: name one to run', 127);
  if (name.includes("/")) return checkProgram(name);
  let denied: ProgramError | undefined;
  for (const directory of path.split(delimiter)) {
    const file = join(directory || ".", name);
    try {
      return checkProgram(file.includes("/") ? file : `./${file}`);
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      if (error.exitStatus === 126) denied ??= error;
    }
  }
  throw denied ?? new ProgramError(`there is no program "${name}" in PATH; install it, or give its path`, 127);
}

function checkProgram(file: string): string {
  let stats: Stats;
  try {
    stats = statSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") throw new ProgramError(`there is no file ${file}`, 127);
    throw new ProgramError(`${file} cannot be looked at: ${code}`, 126);
  }
  if (stats.isDirectory()) throw new ProgramError(`${file} is a directory`, 126);
  try {
    accessSync(file, constants.X_OK);
  } catch {
    throw new ProgramError(`${file} may not be executed; \`chmod +x\` makes it a program, if it is one`, 126);
  }
  // Root may execute what anybody may, and access(2) says so of files without any such bit on some file systems.
  if (!(stats.mode & EXECUTABLE)) throw new ProgramError(`${file} may not be executed`, 126);
  return file;
}

/** Looks at a program. What may be executed and not read is taken for an ordinary one: nothing is known of it. */
export function describeProgram(path: string, depth = 0): Program | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return undefined;
  }
  try {
    const readAt: ReadAt = (position, length) => {
      const bytes = Buffer.alloc(Math.max(0, length));
      return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, position));
    };
    const stats = statSync(path);
    const [uid, gid] = [process.getuid?.(), process.getgid?.()];
    const isSetId =
      ((stats.mode & SET_UID) !== 0 && stats.uid !== uid) || ((stats.mode & SET_GID) !== 0 && stats.gid !== gid);
    const elf = readElf(readAt);
    return { path, elf, interpreter: elf ? undefined : interpreterOf(readAt(0, FIRST_LINE_MAX), depth), isSetId };
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

/** `#!/usr/bin/env python3` names python3. */
function interpreterOf(head: Buffer, depth: number): Program | undefined {
  const line = /^#![ \t]*([^\n\0]+)/.exec(head.toString("latin1"))?.[1];
  if (line === undefined || depth >= DEPTH_MAX) return undefined;
  const [interpreter = "", ...words] = line.trim().split(/[ \t]+/);
  const [name] = basename(interpreter) === "env" ? words.filter((word) => !/^-|=/.test(word)) : [interpreter];
  try {
    return describeProgram(findProgram(name ?? interpreter), depth + 1);
  } catch {
    return undefined; // the kernel says so when it is run
  }
}

/** Why a program's own sockets stay plain TCP although a library is preloaded; undefined: nothing is known that speaks against it. */
export function obstacle(program: Program | undefined): string | undefined {
  if (!program) return undefined;
  const { path, elf, interpreter, isSetId } = program;
  if (!elf) return obstacle(interpreter);
  if (elf.go) return obstacleOfGo(path, elf);
  if (isSetId) return `${path} is set-user-id, and nothing is preloaded into it: run it as the user that it becomes`;
  if (!elf.isDynamic) {
    return `${path} is statically linked, and nothing can be preloaded into it: use a dynamically linked one, or let it ask for IPPROTO_MPTCP itself`;
  }
  if (elf.machine !== MACHINE[process.arch] || elf.bits !== 64) {
    return `${path} is for another processor (${elf.bits} bits, ELF machine ${elf.machine}) than the preloaded library (${process.arch})`;
  }
  return undefined;
}

/** Go opens sockets by itself, and knows MPTCP since 1.21: GODEBUG says so. */
function obstacleOfGo(path: string, { go }: Elf): string | undefined {
  const minor = Number(/^go1\.(\d+)/.exec(go?.version ?? "")?.[1] ?? Number.NaN);
  if (minor < 21) return `${path} was made by ${go?.version}, which knows no MPTCP: build it with Go 1.21 or newer`;
  return undefined;
}
