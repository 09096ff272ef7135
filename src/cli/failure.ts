import { ERRNO, errnoText, SubflowError } from "../types/index.ts";

/** Exit status of every command, as iproute2 has them; `warnings` and `errors` are what `doctor` found. */
export const EXIT = {
  success: 0,
  failure: 1,
  refused: 2,
  warnings: 3,
  errors: 4,
  interrupted: 130,
  brokenPipe: 141,
  usage: 255,
} as const;

/** A command that cannot be carried out, with the exit status that says why. */
export class CommandError extends SubflowError {
  readonly exitStatus: number;
  constructor(message: string, options: { code: string; exitStatus: number; cause?: unknown }) {
    super(message, options);
    this.exitStatus = options.exitStatus;
  }
}

/** The command line is wrong: exit status 255. The message stands on stderr as it is. */
export function usageError(message: string): CommandError {
  return new CommandError(message, { code: "USAGE", exitStatus: EXIT.usage });
}

/** A word of the command line has a value that cannot be (iproute2's wording). */
export function wrongArgument(word: string, reason: string): CommandError {
  return usageError(`Error: argument "${word}" is wrong: ${reason}`);
}

/** Throws for the first word beyond those that a command takes. */
export function noMoreWords(words: readonly string[], taken: number, says: string): void {
  const [more] = words.slice(taken);
  if (more !== undefined) throw wrongArgument(more, says);
}

/** A word that must be there is not (iproute2's wording). */
export function missingArgument(word: string): CommandError {
  return usageError(`Error: argument "${word}" is required`);
}

/** A word that needs a value is the last one (iproute2's wording). */
export function incompleteCommand(): CommandError {
  return usageError('Command line is not complete. Try option "help"');
}

/** Something that the kernel would refuse, refused before it is asked: exit status 2. */
export function refused(reason: string): CommandError {
  return new CommandError(`Error: ${reason}.`, { code: "REFUSED", exitStatus: EXIT.refused });
}

/** The command is fine and the world is not: exit status 1. */
export function failure(message: string): CommandError {
  return new CommandError(message, { code: "FAILED", exitStatus: EXIT.failure });
}

interface KernelRefusal {
  readonly errno: number;
  readonly kernelMessage?: string | undefined;
}

/** What stderr says and which status the process ends with, for anything that a command throws. */
export function describeFailure(error: unknown): { text: string; exitStatus: number } {
  if (error instanceof CommandError) return { text: error.message, exitStatus: error.exitStatus };
  if (isKernelRefusal(error)) return { text: describeRefusal(error), exitStatus: EXIT.refused };
  // "file:line:column: problem", a line each: as compilers have it, so that editors find the place.
  if (error instanceof SubflowError && error.code === "CONFIG")
    return { text: error.message, exitStatus: EXIT.failure };
  if (error instanceof SubflowError) return { text: `Error: ${error.message}.`, exitStatus: statusOf(error) };
  if (isSystemError(error)) return { text: `Error: ${error.message}`, exitStatus: EXIT.failure };
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { text: `Internal error, please report it: ${text}`, exitStatus: EXIT.failure };
}

/** True for what reading a closed pipe's other end gives: nobody listens, nothing is wrong. */
export function isBrokenPipe(error: unknown): boolean {
  return isSystemError(error) && error.code === "EPIPE";
}

/** An error that the kernel answered, whichever room carried it here. */
export function isKernelRefusal(error: unknown): error is SubflowError & KernelRefusal {
  return (
    error instanceof SubflowError &&
    error.code !== "NETNS" &&
    typeof (error as Partial<KernelRefusal>).errno === "number"
  );
}

/** A namespace that cannot be entered ends iproute2 with 255. */
function statusOf(error: SubflowError): number {
  return error.code === "NETNS" ? EXIT.usage : EXIT.failure;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";
}

/** iproute2 prints the kernel's own text when there is one, and strerror(3) when not; the remedy is ours. */
function describeRefusal({ errno, kernelMessage }: KernelRefusal): string {
  const text = kernelMessage
    ? `Error: ${kernelMessage}${kernelMessage.endsWith(".") ? "" : "."}`
    : `RTNETLINK answers: ${errnoText(errno)}`;
  if (errno === ERRNO.EPERM) return `${text}\n${CAPABILITY_REMEDY}`;
  // mptcp_pm_nl_subflow_create_doit() hides the reason in a number.
  const connectError = /^connect error: -(\d+)$/.exec(kernelMessage ?? "")?.[1];
  return connectError === undefined ? text : `${text}\n${errnoText(Number(connectError))}.`;
}

/** Ends every message about missing rights. */
export const CAPABILITY_REMEDY =
  "This needs CAP_NET_ADMIN in the network namespace: run it as root, or in a namespace of your own (unshare -Urn).";
