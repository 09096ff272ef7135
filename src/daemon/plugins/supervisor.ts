import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Writable } from "node:stream";

/** nobody and nogroup. */
const NOBODY = 65_534;
const [NODE = 0] = process.versions.node.split(".").map(Number);
/** KiB of data segment (heap, buffers, stacks): what leaks ends there. Node 24 and newer reserve more than half a GiB (measured), and use a tenth. */
const DATA_MAX = NODE >= 24 ? 1_048_576 : 524_288;
/** MiB of what JavaScript allocates, in V8's old generation. */
const HEAP_MAX = 64;

/**
 * A shell that begins and ends the process on demand. Of root's daemon it is there before the daemon gives up its rights, because afterwards that could
 * neither become somebody else nor end somebody else's process. Of any other it begins afterwards, with nothing left to give up: the filter of system
 * calls of a service forbids capset(2), without which setpriv(1) does nothing (util-linux 2.41). It forbids limits and niceness as well: these go without saying.
 * When the daemon is gone it ends the process and itself.
 */
const SCRIPT = `
trap "" HUP INT TERM
echo 1000 2>&- >/proc/self/oom_score_adj
for limit in "-c 0" "-f 0" "-n 64" "-d ${DATA_MAX}"; do ulimit $limit 2>&-; done
nicely="nice -n 10"; [ -z "$($nicely true 2>&1)" ] || nicely=
pid=
end() { [ -n "$pid" ] && { kill -9 "$pid" 2>&-; wait "$pid" 2>&-; }; pid=; }
while read -r word; do
  case "$word" in
    start) end; $nicely "$@" <&3 >&4 & pid=$!;;
    end) end;;
  esac
done
end`;

const isRoot = (): boolean => process.geteuid?.() === 0;

/** What is run, and who hears of it. */
export interface SupervisorOptions {
  readonly words: readonly string[];
  /** Its standard output, whichever process it is. */
  readonly onOutput: (chunk: Buffer) => void;
  readonly onErrors: (chunk: Buffer) => void;
  /** There is no shell, or no setpriv(1): nothing will ever run. */
  readonly onFailure: (error: Error) => void;
}

/** Starts and ends one program as nobody, without capabilities, network and limits to how much it may take. */
export class Supervisor implements Disposable {
  readonly #options: SupervisorOptions;
  #shell: ChildProcess | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    if (isRoot()) this.#shell = begin(options);
  }

  /** Not before the daemon has given up its rights. */
  start(): void {
    this.#shell ??= begin(this.#options);
    this.#shell.stdin?.write("start\n");
  }

  end(): void {
    this.#shell?.stdin?.write("end\n");
  }

  /** To its standard input. */
  write(text: string): void {
    (this.#shell?.stdio[3] as Writable | undefined)?.write(text);
  }

  [Symbol.dispose](): void {
    if (!this.#shell) return;
    this.#shell.stdin?.end();
    for (const stream of this.#shell.stdio.slice(2)) stream?.destroy();
  }
}

function begin({ words, onOutput, onErrors, onFailure }: SupervisorOptions): ChildProcess {
  const [command, ...args] = [...unprivileged(), "/bin/sh", "-c", SCRIPT, "subflow-plugin", ...words];
  const shell = spawn(command as string, args, {
    stdio: ["pipe", "ignore", "pipe", "pipe", "pipe"],
    detached: true,
    cwd: "/",
    env: {},
  });
  shell.once("error", onFailure);
  const [, , errors, , output] = shell.stdio;
  output?.on("data", onOutput);
  errors?.on("data", onErrors);
  // Who writes to a process that is gone is told in another way.
  for (const stream of shell.stdio) stream?.on("error", () => undefined);
  shell.unref();
  for (const stream of shell.stdio) (stream as { unref?: () => void } | null)?.unref?.();
  return shell;
}

/** Node with as little as a policy needs. @param readable folders that the program may read, where Node can tell (24 and newer) */
export function nodeWords(readable: readonly string[]): string[] {
  const permission = NODE >= 24 ? ["--permission", ...readable.map((folder) => `--allow-fs-read=${folder}`)] : [];
  return [process.execPath, `--max-old-space-size=${HEAP_MAX}`, "--no-addons", "--no-warnings", ...permission];
}

/** The words before a program that make it somebody without rights: none where there are none left (see {@link SCRIPT}). */
function unprivileged(): string[] {
  if (!isRoot()) return [];
  const alone = spawnSync("unshare", ["--net", "true"]).status === 0 ? ["unshare", "--net"] : [];
  const user = hasNobody() ? [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--bounding-set=-all"] : [];
  return [...alone, "setpriv", "--no-new-privs", "--ambient-caps=-all", "--inh-caps=-all", ...user];
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
