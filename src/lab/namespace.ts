import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { LabError } from "./errors.ts";

/** What a command of {@link Namespace.exec} said. */
export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * An anonymous network namespace. A tiny process holds it, which ends when a pipe from us closes: however we end (return,
 * exception, ^C, kill -9), the kernel closes the pipe, the holder ends, and the namespace goes with all that is in it.
 */
export class Namespace {
  readonly #holder: ChildProcess;
  readonly #children = new Set<ChildProcess>();

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async create(): Promise<Namespace> {
    // Detached: ^C at a terminal reaches a whole process group, and the namespace must outlive our own way out.
    const holder = spawn("unshare", ["--net", "cat"], { stdio: ["pipe", "pipe", "pipe"], detached: true });
    const ended = once(holder, "close").catch((error: unknown) => [error]);
    holder.stdin.on("error", () => {}); // EPIPE of a holder that could not start; `ended` tells why
    holder.stdin.write("\n"); // cat answers, and cat runs only inside the new namespace
    const isReady = await Promise.race([once(holder.stdout, "data").then(() => true), ended.then(() => false)]);
    if (!isReady) {
      const reason = String(holder.stderr.read() ?? (await ended)[0]).trim();
      throw new LabError(`cannot make a network namespace: ${reason}. ${NOT_ALLOWED_REMEDY}`, {
        code: "LAB_NOT_ALLOWED",
      });
    }
    holder.stdout.resume();
    holder.unref();
    for (const stream of [holder.stdin, holder.stdout, holder.stderr]) (stream as unknown as { unref(): void }).unref();
    return new Namespace(holder);
  }

  get pid(): number {
    return this.#holder.pid ?? 0;
  }

  /** Where the namespace can be entered, while it lives. */
  get path(): string {
    return `/proc/${this.pid}/ns/net`;
  }

  /** Starts a command inside; it is killed with the namespace, or when we die. */
  spawn(command: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const words = [`--net=${this.path}`, "setpriv", "--pdeathsig", "KILL", ...command];
    const child = spawn("nsenter", words, options);
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  /** Runs a command inside to its end; throws {@link LabError} when it fails, unless `mayFail`. */
  async exec(command: readonly string[], options: { input?: string; mayFail?: boolean } = {}): Promise<CommandResult> {
    const child = this.spawn(command, { stdio: ["pipe", "pipe", "pipe"] });
    child.stdin?.on("error", () => {}); // a command that does not read its input
    child.stdin?.end(options.input ?? "");
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name]?.setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
      });
    }
    const [status] = (await once(child, "close")) as [number | null];
    if (status !== 0 && !options.mayFail) {
      const input = options.input ? ` (input: ${JSON.stringify(options.input)})` : "";
      const text = `"${command.join(" ")}" failed with status ${status}: ${output.stderr.trim()}${input}`;
      throw new LabError(text, { code: "LAB_COMMAND" });
    }
    return { status, ...output };
  }

  async dispose(): Promise<void> {
    const children = [...this.#children];
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(
      children.map((child) => (child.exitCode === null && child.signalCode === null ? once(child, "exit") : 0)),
    );
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    this.#holder.ref();
    const ended = once(this.#holder, "exit");
    this.#holder.stdin?.end();
    await ended;
  }
}

const NOT_ALLOWED_REMEDY =
  "Run it as root, or let users make user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone " +
  "or kernel.apparmor_restrict_unprivileged_userns); in a container, give it CAP_SYS_ADMIN and CAP_NET_ADMIN";

/** How a lab can be made here: as we are, by starting again inside a user namespace, or not at all (the reason). */
export function labAccess():
  | { readonly how: "direct" | "rootless" }
  | { readonly how: "none"; readonly reason: string } {
  const direct = spawnSync("unshare", ["--net", "true"], { encoding: "utf8" });
  if (direct.status === 0) return { how: "direct" };
  const rootless = spawnSync("unshare", ["--user", "--map-root-user", "--net", "true"], { encoding: "utf8" });
  if (rootless.status === 0) return { how: "rootless" };
  const reason = (rootless.stderr || direct.stderr || direct.error?.message || "unshare(1) failed").trim();
  return { how: "none", reason: `network namespaces are not allowed here (${reason}). ${NOT_ALLOWED_REMEDY}` };
}

/**
 * For a command line that needs a lab: undefined when this process can make one; otherwise this same command line was run
 * again as root of a new user namespace, and its exit status is returned. Throws {@link LabError} where nothing is allowed.
 */
export async function rerunRootless(): Promise<number | undefined> {
  const access = labAccess();
  if (access.how === "direct") return undefined;
  if (access.how === "none") throw new LabError(access.reason, { code: "LAB_NOT_ALLOWED" });
  // unshare(1) becomes the command, so that signals reach it; and it is killed when we are.
  const words = ["--user", "--map-root-user", "--net", "setpriv", "--pdeathsig", "KILL", process.execPath];
  const child = spawn("unshare", [...words, ...process.execArgv, ...process.argv.slice(1)], { stdio: "inherit" });
  // ^C reaches the child by itself; what is sent to us alone has to be passed on.
  const onInterrupt = (): void => {};
  const onTerminate = (): void => void child.kill("SIGTERM");
  process.on("SIGINT", onInterrupt).on("SIGTERM", onTerminate);
  const [status, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  process.off("SIGINT", onInterrupt).off("SIGTERM", onTerminate);
  // A shell reports a command that a signal ended as 128 and the signal's number.
  return status ?? 128 + (signal ? constants.signals[signal] : 0);
}
