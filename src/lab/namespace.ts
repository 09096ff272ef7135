import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { constants } from "node:os";
import { LabError } from "./errors.ts";
import { noteSlowness } from "./patience.ts";

/** What a command of {@link Namespace.exec} said. */
export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * What holds a namespace: says that it is inside, waits until its standard input closes, then kills whatever is left in its
 * network namespace, again until nothing is (what is being killed may fork), and ends. Nothing but a shell's own words: a
 * process that it started would be one more to kill.
 */
const HOLDER = `
echo
while read -r _; do :; done
own=/proc/$$/ns/net
found=1
while [ "$found" ]; do
  found=
  for process in /proc/[0-9]*; do
    [ "$process" != "/proc/$$" ] && [ "$process/ns/net" -ef "$own" ] || continue
    kill -9 "\${process#/proc/}" 2>/dev/null && found=1
  done
done
`;

/**
 * An anonymous network namespace. A tiny process holds it, which ends when a pipe from us closes: however we end (return,
 * exception, ^C, kill -9), the kernel closes the pipe, the holder ends every process of the namespace and itself, and the
 * namespace goes with all that is in it. What has left for yet another namespace is beyond it: see {@link rerunContained}.
 */
export class Namespace {
  readonly #holder: ChildProcess;
  readonly #children = new Set<ChildProcess>();

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async create(): Promise<Namespace> {
    // Detached: ^C at a terminal reaches a whole process group, and the namespace must outlive our own way out.
    const start = performance.now();
    const holder = spawn("unshare", ["--net", "sh", "-c", HOLDER], {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      env: labEnvironment(),
    });
    const ended = once(holder, "close").catch((error: unknown) => [error]);
    holder.stdin.on("error", () => {}); // EPIPE of a holder that could not start; `ended` tells why
    let stderr = "";
    holder.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const isReady = await Promise.race([once(holder.stdout, "data").then(() => true), ended.then(() => false)]);
    if (!isReady) {
      const reason = stderr.trim() || endingOf(await ended);
      throw new LabError(`cannot make a network namespace: ${reason}. ${NOT_ALLOWED_REMEDY}`, {
        code: "LAB_NOT_ALLOWED",
      });
    }
    noteSlowness(performance.now() - start);
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
    const child = spawn("nsenter", words, { ...options, env: labEnvironment(options.env) });
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

/** "unshare(1) ended with status 1", "was killed by SIGSEGV": what {@link once} caught of a process that said nothing. */
function endingOf([status, signal]: readonly unknown[]): string {
  if (status instanceof Error) return status.message;
  return signal ? `unshare(1) was killed by ${signal}` : `unshare(1) ended with status ${status} and said nothing`;
}

/** ip(8), tc(8) and their like are often not on a user's path. */
export function labEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const directories = (env.PATH ?? "/usr/local/bin:/usr/bin:/bin").split(":");
  const missing = ["/usr/sbin", "/sbin"].filter((directory) => !directories.includes(directory));
  return { ...env, PATH: [...directories, ...missing].join(":") };
}

const NOT_ALLOWED_REMEDY =
  "Run it as root, or let users make user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone " +
  "or kernel.apparmor_restrict_unprivileged_userns); in a container, give it CAP_SYS_ADMIN and CAP_NET_ADMIN";

/** How a lab can be made here: as we are, by starting again inside a user namespace, or not at all (the reason). */
export function labAccess():
  | { readonly how: "direct" | "rootless" }
  | { readonly how: "none"; readonly reason: string } {
  const start = performance.now();
  const direct = spawnSync("unshare", ["--net", "true"], { encoding: "utf8" });
  noteSlowness(performance.now() - start);
  if (direct.status === 0) return { how: "direct" };
  const rootless = spawnSync("unshare", ["--user", "--map-root-user", "--net", "true"], { encoding: "utf8" });
  if (rootless.status === 0) return { how: "rootless" };
  const reason = (rootless.stderr || direct.stderr || direct.error?.message || "unshare(1) failed").trim();
  return { how: "none", reason: `network namespaces are not allowed here (${reason}). ${NOT_ALLOWED_REMEDY}` };
}

/** Set for a command line that runs again, to the PID namespace that it runs in. */
const CONTAINED = "SUBFLOW_LAB_CONTAINED";
const ROOTLESS = ["--user", "--map-root-user", "--net"];
/** With a /proc of its own; all that is in it is killed by the kernel when its first process ends. */
const CONTAINER = ["--pid", "--fork", "--kill-child=KILL", "--mount-proc"];

/**
 * For a command line that needs a lab: undefined when this process can make one; otherwise this same command line was run
 * again as root of a new user namespace, and its exit status is returned. Throws {@link LabError} where nothing is allowed.
 */
export async function rerunRootless(): Promise<number | undefined> {
  const access = labAccess();
  if (access.how === "direct") return undefined;
  if (access.how === "none") throw new LabError(access.reason, { code: "LAB_NOT_ALLOWED" });
  // unshare(1) becomes the command, so that signals reach it; and it is killed when we are.
  return rerun("unshare", [...ROOTLESS, "setpriv", "--pdeathsig", "KILL", ...commandLine()], process.env, "SIGTERM");
}

/**
 * Like {@link rerunRootless}, and in a PID namespace too where the machine allows it: whatever a person starts inside, in
 * the background, in namespaces of its own, with other names, the kernel ends all of it with the lab, also after kill -9.
 */
export async function rerunContained(): Promise<number | undefined> {
  const own = readlinkSync("/proc/self/ns/pid");
  if (process.env[CONTAINED] !== undefined && process.env[CONTAINED] !== own) {
    delete process.env[CONTAINED]; // a lab inside the lab is one more
    return undefined;
  }
  const access = labAccess();
  if (access.how === "none") throw new LabError(access.reason, { code: "LAB_NOT_ALLOWED" });
  const outer = access.how === "rootless" ? ["unshare", ...ROOTLESS] : [];
  if (!isPossible([...outer, "unshare", ...CONTAINER, "true"])) return rerunRootless();
  // The shell is the namespace's init: as such it takes in orphans, and a signal that it does not expect does not end it.
  const init = ["sh", "-c", '"$@"; exit $?', "lab", ...commandLine()];
  const [program, ...words] = [...outer, "setpriv", "--pdeathsig", "KILL", "unshare", ...CONTAINER, ...init];
  return rerun(program!, words, { ...process.env, [CONTAINED]: own }, "SIGKILL");
}

function isPossible([program, ...words]: readonly string[]): boolean {
  return spawnSync(program!, words, { stdio: "ignore" }).status === 0;
}

function commandLine(): string[] {
  return [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
}

/** Runs a command in our place. `ending` is what SIGTERM becomes for it. @returns its exit status */
async function rerun(
  program: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  ending: NodeJS.Signals,
): Promise<number> {
  const child = spawn(program, words, { stdio: "inherit", env: labEnvironment(env) });
  // ^C reaches the child by itself; what is sent to us alone has to be passed on.
  const onInterrupt = (): void => {};
  let told: NodeJS.Signals | undefined;
  const onTerminate = (signal: NodeJS.Signals): void => {
    told = signal;
    child.kill(ending);
  };
  process.on("SIGINT", onInterrupt).on("SIGTERM", onTerminate).on("SIGHUP", onTerminate);
  const [status, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  process.off("SIGINT", onInterrupt).off("SIGTERM", onTerminate).off("SIGHUP", onTerminate);
  // A shell reports a command that a signal ended as 128 and the signal's number.
  const by = told ?? signal;
  return by && status === null ? 128 + constants.signals[by] : (status ?? 1);
}
