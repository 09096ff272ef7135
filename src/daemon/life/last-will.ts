import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";

/** What the process is called in /proc/PID/cmdline. */
const NAME = "subflow-last-will";
/**
 * Waits for a word; writes when there comes none, because whoever should say it is gone. Signals for the whole group (^C, a service
 * manager) are not for it: who gets them ends well, and says so.
 */
const SCRIPT = 'trap "" HUP INT TERM; read -r _ || printf %s "$2" > "$1"';
const WORD = "well\n";

/**
 * A process of a few hundred kilobytes that puts one sysctl back when the daemon is killed and can do nothing any more: otherwise new
 * connections would have a path manager that is not there, which refuses joins that the in-kernel one takes.
 */
export class LastWill implements Disposable {
  readonly #process: ChildProcess;

  /**
   * @param file of the sysctl, below /proc/sys
   * @param onFailure there is no shell, or no process to be had: the daemon does without
   */
  constructor(file: string, value: string, onFailure: (error: Error) => void) {
    this.#process = spawn("/bin/sh", ["-c", SCRIPT, NAME, file, value], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
      cwd: "/",
      env: {},
    });
    this.#process.once("error", onFailure);
    // It is gone already, or was killed: nothing is lost but the will.
    this.#process.stdin?.on("error", () => undefined);
    this.#process.unref();
    (this.#process.stdin as Socket | null)?.unref();
  }

  /** undefined: there is none. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** All has been put back, or is to stay: nothing is left to be done. */
  [Symbol.dispose](): void {
    this.#process.stdin?.end(WORD);
  }
}

/**
 * Ends the will of a daemon that was killed a moment ago, so that it does not undo what the next one does.
 * @param pid as it was written down; another process may have that number by now
 */
export function voidLastWill(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
    if (words.includes(NAME)) process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
