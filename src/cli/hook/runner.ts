import { spawn } from "node:child_process";

/** What waits for its turn: more is forgotten, and told of. */
export const WAITING_MAX = 1000;
/** Between "please" and SIGKILL. Milliseconds. */
const GRACE = 1000;

export interface RunnerOptions {
  readonly command: readonly [string, ...string[]];
  /** Of the process that runs the command; undefined: as we are. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
  /** Milliseconds that one run may take. */
  readonly timeout: number;
  /** Runs at once. */
  readonly jobs: number;
  readonly onTrouble: (text: string) => void;
}

/** Runs a command for each thing that is told, with it on standard input: no shell, few at once, none for long. */
export class HookRunner {
  readonly #options: RunnerOptions;
  readonly #waiting: { readonly input: string; readonly environment: Readonly<Record<string, string>> }[] = [];
  #running = 0;
  #forgotten = 0;
  #onIdle: (() => void) | undefined;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  add(input: string, environment: Readonly<Record<string, string>>): void {
    if (this.#waiting.length >= WAITING_MAX) this.#forget();
    this.#waiting.push({ input, environment });
    this.#next();
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    if (this.#running === 0 && this.#waiting.length === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Resolves when what runs has ended; what waits is left out. */
  end(): Promise<void> {
    this.#waiting.length = 0;
    return this.idle();
  }

  /** The oldest: what happens now matters more. */
  #forget(): void {
    this.#waiting.shift();
    if (this.#forgotten++ === 0)
      this.#options.onTrouble("the command is slower than what happens: some of it is left out");
  }

  #next(): void {
    const { jobs } = this.#options;
    while (this.#running < jobs) {
      const job = this.#waiting.shift();
      if (!job) break;
      this.#running++;
      this.#run(job.input, job.environment);
    }
    if (this.#waiting.length === 0) this.#forgotten = 0;
    if (this.#running === 0 && this.#waiting.length === 0) this.#onIdle?.();
  }

  #run(input: string, environment: Readonly<Record<string, string>>): void {
    const { command, user, timeout, onTrouble } = this.#options;
    const [program, ...words] = command;
    const env = { PATH: process.env.PATH ?? "/usr/bin:/bin", ...environment };
    const stdio = ["pipe", "inherit", "inherit"] as const;
    // A group of its own: what it has started ends with it.
    const child = spawn(program, words, { env, stdio: [...stdio], detached: true, ...user });
    const signal = (which: NodeJS.Signals): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, which);
      } catch {
        // It has ended meanwhile.
      }
    };
    const timers = [
      setTimeout(() => {
        onTrouble(`${program} takes more than ${timeout / 1000} s and is ended`);
        signal("SIGTERM");
      }, timeout),
      setTimeout(() => signal("SIGKILL"), timeout + GRACE),
    ];
    let isOver = false;
    const over = (trouble?: string): void => {
      if (isOver) return;
      isOver = true;
      for (const timer of timers) clearTimeout(timer);
      if (trouble !== undefined) onTrouble(trouble);
      this.#running--;
      this.#next();
    };
    child.on("error", (error) => over(`${program}: ${error.message}`));
    child.on("exit", (status) => over(status ? `${program} ended with ${status}` : undefined));
    // Whoever does not read what it is told loses nothing by it.
    child.stdin!.on("error", () => undefined);
    child.stdin!.end(input);
  }
}
