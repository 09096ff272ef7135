import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";

/** nobody and nogroup. */
const NOBODY = 65_534;
const [NODE = 0] = process.versions.node.split(".").map(Number);
/** KiB of data segment (heap, buffers, stacks): what leaks ends there. Node 24 and newer reserve more than half a GiB (measured), and use a tenth. */
const DATA_MAX = NODE >= 24 ? 1_048_576 : 524_288;
/** MiB of what JavaScript allocates, in V8's old generation. */
const HEAP_MAX = 64;

/**
 * A shell that begins and ends the process on demand. It is there before the daemon gives up its rights, because afterwards the daemon could neither
 * become somebody else nor end somebody else's process. When the daemon is gone it ends the process and itself.
 */
const SCRIPT = `
trap "" HUP INT TERM
echo 1000 2>&- >/proc/self/oom_score_adj
ulimit -c 0; ulimit -f 0; ulimit -n 64; ulimit -d ${DATA_MAX}
pid=
end() { [ -n "$pid" ] && { kill -9 "$pid" 2>&-; wait "$pid" 2>&-; }; pid=; }
while read -r word; do
  case "$word" in
    start) end; nice -n 10 "$@" <&3 >&4 & pid=$!;;
    end) end;;
  esac
done
end`;

/** Starts and ends one program as nobody, without capabilities, network and limits to how much it may take. */
export class Supervisor implements Disposable {
  readonly #shell: ChildProcess;
  /** Its standard input, output and errors, whichever process it is. */
  readonly input: Writable;
  readonly output: Readable;
  readonly errors: Readable;

  /** @param onFailure there is no shell, or no setpriv(1): nothing will ever run */
  constructor(words: readonly string[], onFailure: (error: Error) => void) {
    const [command, ...args] = [...unprivileged(), "/bin/sh", "-c", SCRIPT, "subflow-plugin", ...words];
    this.#shell = spawn(command as string, args, {
      stdio: ["pipe", "ignore", "pipe", "pipe", "pipe"],
      detached: true,
      cwd: "/",
      env: {},
    });
    this.#shell.once("error", onFailure);
    const [, , errors, input, output] = this.#shell.stdio;
    this.input = input as Writable;
    this.output = output as Readable;
    this.errors = errors as Readable;
    // Who writes to a process that is gone is told in another way.
    for (const stream of this.#shell.stdio) stream?.on("error", () => undefined);
    this.#shell.unref();
    for (const stream of this.#shell.stdio) (stream as { unref?: () => void } | null)?.unref?.();
  }

  start(): void {
    this.#shell.stdin?.write("start\n");
  }

  end(): void {
    this.#shell.stdin?.write("end\n");
  }

  [Symbol.dispose](): void {
    this.#shell.stdin?.end();
    for (const stream of [this.input, this.output, this.errors]) stream.destroy();
  }
}

/** Node with as little as a policy needs. @param readable folders that the program may read, where Node can tell (24 and newer) */
export function nodeWords(readable: readonly string[]): string[] {
  const permission = NODE >= 24 ? ["--permission", ...readable.map((folder) => `--allow-fs-read=${folder}`)] : [];
  return [process.execPath, `--max-old-space-size=${HEAP_MAX}`, "--no-addons", "--no-warnings", ...permission];
}

/** The words before a program that make it somebody without rights. */
function unprivileged(): string[] {
  const alone = spawnSync("unshare", ["--net", "true"]).status === 0 ? ["unshare", "--net"] : [];
  const isNobody = process.geteuid?.() === 0 && hasNobody();
  // Who is not root has no capability left when ambient ones are gone, and a service's filter of system calls may not let it say more.
  const user = isNobody ? [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--bounding-set=-all"] : [];
  const inherited = process.geteuid?.() === 0 ? ["--inh-caps=-all"] : [];
  return [...alone, "setpriv", "--no-new-privs", "--ambient-caps=-all", ...inherited, ...user];
}

/** In a user namespace there may be no such user: it has the numbers that it was given. */
function hasNobody(): boolean {
  return readFileSync("/proc/self/uid_map", "latin1")
    .trim()
    .split("\n")
    .some((line) => {
      const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
      return NOBODY >= first && NOBODY < first + count;
    });
}
