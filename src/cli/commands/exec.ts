import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { checkNetns, loadNative, readSysctl, withNetns } from "../../netlink/index.ts";
import {
  describeProgram,
  findProgram,
  mptcpEnvironment,
  obstacle,
  ProgramError,
  preloadedLibrary,
} from "../../programs/index.ts";
import { ERRNO, errnoName } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { CommandError, missingArgument } from "../failure.ts";
import { parseOptions } from "../options.ts";

const SHELL = "/bin/sh";
const POINTER_BYTES = 8;
/** The programs that failed, as env(1) has them. */
const EXIT_CANNOT_RUN = 126;

/** `exec`. Never returns: another program is in our place then. */
export function run(context: Context): number {
  const words = commandOf(context);
  const { netns } = context.global;
  if (netns !== undefined) withNetns(netns, (fd) => checkNetns(loadNative().enterNamespace(fd), "cannot enter", netns));
  const path = find(words[0]!.toString());
  const warnings = [noMptcp(), obstacle(describeProgram(path))];
  for (const warning of warnings) if (warning !== undefined) context.streams.err(`Warning: ${warning}.\n`);
  const errno = become(path, words);
  // As execvp(3): a script without a first line is the shell's.
  if (errno === ERRNO.ENOEXEC) become(SHELL, [Buffer.from(SHELL), Buffer.from(path), ...words.slice(1)]);
  throw cannotRun(`Error: ${path} cannot be run: ${errnoName(errno)}.`);
}

function cannotRun(message: string, exitStatus = EXIT_CANNOT_RUN): CommandError {
  return new CommandError(message, { code: "FAILED", exitStatus });
}

/** The words of the program, byte for byte: Node has made text of them, which not every byte survives. */
function commandOf(context: Context): Buffer[] {
  const own = context.words[0] === "--" ? context.words.slice(1) : context.words;
  if (own[0] === undefined) throw missingArgument("COMMAND");
  if (context.words[0] !== "--" && own[0].startsWith("-")) parseOptions(context); // there are none
  const all = zeroEnded(readFileSync("/proc/self/cmdline"));
  return all.slice(all.length - own.length);
}

function zeroEnded(bytes: Buffer): Buffer[] {
  const texts: Buffer[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0, start);
    texts.push(bytes.subarray(start, end < 0 ? bytes.length : end));
    start = end < 0 ? bytes.length : end + 1;
  }
  return texts;
}

function find(name: string): string {
  try {
    return findProgram(name);
  } catch (error) {
    if (error instanceof ProgramError) throw cannotRun(`Error: ${error.message}.`, error.exitStatus);
    throw error;
  }
}

/** Plain TCP then, which is not what was asked for. */
function noMptcp(): string | undefined {
  const enabled = readSysctl("net.mptcp.enabled");
  if (enabled === undefined) return "this kernel has no MPTCP, so this is plain TCP";
  if (enabled === "0") return "net.mptcp.enabled is 0, so this is plain TCP; `sysctl net.mptcp.enabled=1` mends it";
  return undefined;
}

/** What we were started with, and the two variables. */
function environment(): Buffer[] {
  const ours = mptcpEnvironment(process.env, preloadedLibrary());
  const inherited = zeroEnded(readFileSync("/proc/self/environ")).filter(
    (each) => !Object.keys(ours).some((name) => each.toString("latin1").startsWith(`${name}=`)),
  );
  return [...inherited, ...Object.entries(ours).map(([name, value]) => Buffer.from(`${name}=${value}`))];
}

/** @returns errno, when it failed */
function become(path: string, words: readonly Buffer[]): number {
  const variables = environment();
  const block = (texts: readonly Buffer[]): Buffer => Buffer.concat(texts.flatMap((text) => [text, Buffer.alloc(1)]));
  const room = new Uint8Array((words.length + variables.length + 2) * POINTER_BYTES);
  const kept = Int32Array.from(inheritedDescriptors());
  return -loadNative().become(path, block(words), block(variables), room, kept, openFilesOfParent());
}

/**
 * Descriptors that we were started with: Node marks every one as its own, so that no program gets any. Those that it made are
 * known by their kind, and pipes of which it holds both ends.
 */
function inheritedDescriptors(): number[] {
  const targets = new Map<number, string>();
  for (const name of readdirSync("/proc/self/fd")) {
    try {
      targets.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The one that the folder was read by.
    }
  }
  const count = (target: string): number => [...targets.values()].filter((each) => each === target).length;
  const isOfNode = (target: string): boolean =>
    target.startsWith("anon_inode:") || (target.startsWith("pipe:") && count(target) > 1);
  const others = [...targets].filter(([fd, target]) => fd > 2 && !isOfNode(target)).map(([fd]) => fd);
  return [0, 1, 2, ...others];
}

/**
 * Node raises the soft limit of open files to the hard one at its start. What it was is not to be known any more; whoever
 * started us has it most likely. -1: leave it.
 */
function openFilesOfParent(): number {
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync(`/proc/${process.ppid}/limits`, "latin1"))?.[1];
    return soft === undefined ? -1 : Math.min(Number(soft), 0x7fff_ffff);
  } catch {
    return -1;
  }
}
